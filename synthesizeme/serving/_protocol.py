"""HTTP as uvicorn reads it, with an end to what stands before a body."""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST = 64 * 1024
"""Bytes of a request's address and headers, give or take what is read at a time."""


class BoundedHead(HttpToolsProtocol):
    """Refuses a request whose address and headers do not end; uvicorn would keep all of them."""

    _in_head = _began = False
    _size = 0

    def data_received(self, data: bytes) -> None:
        """Read on; the bytes in which a request begins are not counted."""
        self._began = False
        super().data_received(data)
        if self._in_head and not self._began:
            self._size += len(data)
            if self._size > MOST and not self.transport.is_closing():
                self.send_400_response("The headers are too large.")

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._in_head, self._began, self._size = True, True, 0

    def on_headers_complete(self) -> None:
        """Its headers have ended."""
        self._in_head = False
        super().on_headers_complete()
