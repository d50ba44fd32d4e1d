"""Somebody at the page without a browser: follows its redirects, fills in its forms, reads what it shows."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

import httpx

VOID = {"meta", "link", "input", "br", "hr", "img"}


class Shown(HTMLParser):
    """The elements and words of a page; every form with its fields."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.forms, self.words = [], [], []
        self.open = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.elements.append((tag, attrs))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "form":
            self.forms.append({"action": attrs.get("action"), "fields": {}, "buttons": []})
        elif self.forms and tag in ("input", "textarea", "select") and "name" in attrs:
            self.forms[-1]["fields"][attrs["name"]] = attrs.get("value", "")
        elif self.forms and tag == "button" and "name" in attrs:
            self.forms[-1]["buttons"].append((attrs["name"], attrs.get("value")))

    def handle_endtag(self, tag):
        if tag in self.open:
            while self.open.pop() != tag:
                pass

    def handle_data(self, data):
        if not {"script", "style"} & set(self.open):
            self.words.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.words)).strip()


class Person:
    """One browser of one person; sends forms as the page has them."""

    def __init__(self, url, **settings):
        self.client = httpx.Client(
            base_url=url, follow_redirects=True, timeout=60, trust_env=False, **settings
        )
        self.response = None

    def look(self, path="/"):
        self.response = self.client.get(path)
        return self.shown

    @property
    def shown(self):
        return Shown(self.response.text)

    @property
    def path(self):
        return self.response.url.path

    def send(self, action, **fields):
        """Send the form of that action with these fields in it."""
        found = next(form for form in self.shown.forms if form["action"] == action)
        data = {name: html.unescape(value or "") for name, value in found["fields"].items()}
        self.response = self.client.post(action, data={**data, **fields})
        return self.shown

    def post(self, path, **fields):
        """A form as the page would send it, without going to where it leads."""
        secret = next(form["fields"]["secret"] for form in self.shown.forms if "secret" in form["fields"])
        return self.client.post(path, data={"secret": secret, **fields})

    def agree(self):
        self.look("/")
        if any(form["action"] == "/agree" for form in self.shown.forms):
            self.send("/agree")
        return self.shown

    def choose(self, choice="first", **more):
        return self.send(self.path, choice=choice, **more)

    def close(self):
        self.client.close()
