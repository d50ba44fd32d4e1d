"""The pages of the Python reference: for each part of the packages, its public names."""

from __future__ import annotations

import griffe
from repository import ROOT

PACKAGES = ("synthesizeme", "reward_models")
LEFT_OUT = ("cli", "migrations")
"""Folders without a page: the command line has its own, and migrations of a store are no interface."""


def pages() -> dict[str, str]:
    """A page for each package and each folder in it, with the names that are public there."""
    loader = griffe.GriffeLoader(search_paths=[str(ROOT)])
    roots = [loader.load(package) for package in PACKAGES]
    loader.resolve_aliases()
    return {f"python/{module.path}.md": _page(module) for root in roots for module in _folders(root)}


def _folders(module: griffe.Module) -> list[griffe.Module]:
    inner = [
        it for _, it in sorted(module.modules.items()) if it.is_init_module and not it.name.startswith("_")
    ]
    return [module, *(deeper for it in inner if it.name not in LEFT_OUT for deeper in _folders(it))]


def _page(package: griffe.Module) -> str:
    """What a package exports, and after it the public modules beside."""
    exported = [name for name, member in package.members.items() if _exports(package, name, member)]
    own = [name for name in exported if _shown_here(package.members[name])]
    elsewhere = [name for name in exported if name not in own]
    lines = [f"# {package.path}", "", f"::: {package.path}", "    options: {members: false}", ""]
    lines += _table(package, elsewhere)
    for name in own:
        lines += [
            f"::: {package.path}.{name}",
            "    options: {show_root_heading: true, show_root_toc_entry: true}",
            "",
        ]
    for name, module in sorted(package.modules.items()):
        if not name.startswith("_") and not module.is_init_module:
            lines += [f"## {module.path}", "", f"::: {module.path}", ""]
    return "\n".join(lines) + "\n"


def _exports(package: griffe.Module, name: str, member: griffe.Object | griffe.Alias) -> bool:
    """Whether a package offers a name: by its ``__all__`` where that can be read, else if it is ours."""
    if (
        name.startswith("_")
        or (member.is_alias and not member.target_path.startswith(PACKAGES))
        or member.is_module
    ):
        return False
    return name in map(str, package.exports) if package.exports else True


def _shown_here(member: griffe.Object | griffe.Alias) -> bool:
    """Whether a name is documented where it is exported: its own module is private, or this one."""
    return not member.is_alias or any(part.startswith("_") for part in member.target_path.split("."))


def _table(package: griffe.Module, names: list[str]) -> list[str]:
    """Names that a package exports and another page documents, each with its first sentence."""
    if not names:
        return []
    rows = []
    for name in sorted(names):
        target = package.members[name].final_target
        if target.docstring is None:  # such a name has no entry that could be linked to
            rows.append(f"| `{name}` | |")
            continue
        first = target.docstring.value.split("\n\n")[0].replace("\n", " ")
        rows.append(f"| [`{name}`][{target.path}] | {first} |")
    return ["| name | |", "|---|---|", *rows, ""]
