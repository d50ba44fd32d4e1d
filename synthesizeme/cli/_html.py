"""``--html``: what a verb found as one file; it is checked before any work, and written at its end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from synthesizeme.cli._command import option
from synthesizeme.cli._options import FURTHER, new_file
from synthesizeme.cli._output import check_apart, check_replaceable, check_writable, say
from synthesizeme.errors import ConfigError
from synthesizeme.plain_text import printable

if TYPE_CHECKING:
    from synthesizeme.report_pages.measured import Part


@dataclass(frozen=True)
class HtmlOptions:
    """Whether there is to be a page, and what of the data it shows."""

    html: Path | None = option(
        None,
        "Also write what was found as one HTML file that loads nothing: tables that sort, figures with their "
        "numbers, the verdict on every pair.",
        "FILE",
        parser=new_file,
    )
    html_texts: bool = option(
        False,
        "Show prompts and responses of the test pairs in the page of --html; otherwise it names pairs by "
        "their ids alone.",
        panel=FURTHER,
    )

    @property
    def wanted(self) -> bool:
        """Whether there is to be any."""
        return self.html is not None or self.html_texts

    def check(self, verb: str, of: Iterable[str], *, force: bool, **read: Path | None) -> None:
        """Refuse a place that cannot be written or holds something else, before any work is done.

        Args:
            verb: Name of the command.
            of: Names of what the page is about: benchmarks, or users.
            force: Whether `--force` is given.
            **read: What is read, by the names of the options.

        Raises:
            ConfigError: it is what is read, or something else than this command's page about the same, or
                texts are asked for without a page.
        """
        from synthesizeme.report_pages.document import made_for, mark_of

        if self.html is None:
            if self.html_texts:
                raise ConfigError("--html-texts says what the page of --html shows; name its file")
            return
        check_writable(self.html.parent, flag="--html")
        check_apart("--html", self.html, **read)
        own = made_for(self.html) == mark_of(verb, of)
        check_replaceable(self.html, force=force, own=own, flag="--html")

    def write_reports(self, verb: str, of: Iterable[str], parts: Sequence[Part]) -> None:
        """Write the page of reports; see `write`."""

        def drawn(mark: str) -> str:
            from synthesizeme.report_pages.measured import report_page

            return report_page(parts, mark=mark, with_texts=self.html_texts)

        self.write(verb, of, drawn)

    def write(self, verb: str, of: Iterable[str], drawn: Callable[[str], str]) -> None:
        """Write the page, whole or not at all, and say so.

        Args:
            verb: Name of the command.
            of: See `check`.
            drawn: Makes the page, given its mark.

        Raises:
            DataError: it cannot be written.
        """
        from synthesizeme.files import write_whole
        from synthesizeme.report_pages.document import mark_of

        if self.html is None:
            return
        text = drawn(mark_of(verb, of))
        write_whole(self.html, text)
        say(f"Written: {printable(str(self.html))} ({-(-len(text.encode()) // 1000):,} kB)")
