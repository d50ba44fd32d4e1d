"""Excel workbooks, written here part by part as ECMA-376 has them."""

from __future__ import annotations

import zipfile

import pytest

from synthesizeme.datasets import read_feedback
from synthesizeme.errors import DataError
from synthesizeme.feedback import Rating

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
LINKS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
HEADER = ["user_id", "prompt", "response", "rating", "scale", "created_at"]


def cell(reference, value, texts):
    if value is None:
        return ""
    if isinstance(value, bool):
        return f'<c r="{reference}" t="b"><v>{int(value)}</v></c>'
    if isinstance(value, int | float):
        return f'<c r="{reference}" s="{1 if reference[0] == "F" else 0}"><v>{value}</v></c>'
    if value.startswith("="):
        return f'<c r="{reference}" t="str"><f>A1</f><v>{value[1:]}</v></c>'
    texts.append(value)
    return f'<c r="{reference}" t="s"><v>{len(texts) - 1}</v></c>'


@pytest.fixture
def workbook(tmp_path):
    def write(rows, sheets=("Votes",), name="votes.xlsx"):
        texts: list[str] = []
        lines = "".join(
            f'<row r="{number}">{"".join(cell(f"{chr(65 + at)}{number}", it, texts) for at, it in enumerate(row))}</row>'
            for number, row in enumerate(rows, start=1)
        )
        strings = "".join(f"<si><r><t>{text[:2]}</t></r><r><t>{text[2:]}</t></r></si>" for text in texts)
        named = "".join(
            f'<sheet name="{it}" sheetId="{at}" r:id="r1"/>' for at, it in enumerate(sheets, start=1)
        )
        styles = '<numFmts><numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd"/></numFmts>'
        formats = '<cellXfs><xf numFmtId="0"/><xf numFmtId="164"/></cellXfs>'
        parts = {
            "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{LINKS}"><sheets>{named}</sheets></workbook>',
            "xl/_rels/workbook.xml.rels": '<Relationships><Relationship Id="r1" Target="worksheets/s.xml"/></Relationships>',
            "xl/worksheets/s.xml": f'<worksheet xmlns="{MAIN}"><sheetData>{lines}</sheetData></worksheet>',
            "xl/sharedStrings.xml": f'<sst xmlns="{MAIN}">{strings}</sst>',
            "xl/styles.xml": f'<styleSheet xmlns="{MAIN}">{styles}{formats}</styleSheet>',
        }  # fmt: skip
        path = tmp_path / name
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for part, content in parts.items():
                archive.writestr(part, f'<?xml version="1.0"?>{content}')
        return path

    return write


def test_a_table_of_ratings_is_read_with_texts_numbers_formulas_and_dates(workbook):
    rows = [
        HEADER,
        ["ada", "How deep?", "=Six feet.", 4, "1..5", 45413.5],
        [None] * 6,
        ["bob", "Hi", "Hello.", 2.5, "1..5"],
    ]
    found = read_feedback(workbook(rows))
    first, second = (it for it in found.feedback if isinstance(it, Rating))
    assert (first.user_id, first.response, first.value) == ("ada", "Six feet.", 4)
    assert str(first.created_at) == "2024-05-01 12:00:00+00:00"
    assert (second.value, second.created_at) == (2.5, None)
    assert found.assumed == ("times without a zone: 1, read as UTC",)


def test_a_malformed_row_is_named_by_its_number_in_the_sheet(workbook):
    rows = [HEADER, [None] * 6, ["ada", "Hi", "Hello.", 9, "1..5"]]
    with pytest.raises(DataError, match=r"votes.xlsx:3: field 'value': value is 9; expected 1 to 5"):
        read_feedback(workbook(rows))


def test_pairs_of_a_workbook_and_the_note_of_further_sheets(workbook):
    rows = [["user_id", "prompt", "A", "B", "winner"], ["ada", "How deep?", "Six feet.", "Deep.", "A"]]
    found = read_feedback(workbook(rows, sheets=("Votes", "Legend")))
    assert found.pairs[0].chosen_text == "Six feet."
    assert found.assumed == ("of votes.xlsx the first sheet is read, 'Votes' of 2",)


def test_two_columns_of_one_name_are_refused(workbook):
    with pytest.raises(DataError, match="two columns have the name 'prompt'"):
        read_feedback(workbook([["prompt", "prompt"], ["a", "b"]]))


@pytest.mark.parametrize("content", [b"no archive", b""])
def test_what_is_no_workbook_is_refused(tmp_path, content):
    path = tmp_path / "votes.xlsx"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"is not a readable workbook.*save it again as .xlsx, or as CSV"):
        read_feedback(path)


def test_a_document_type_is_refused_so_that_no_entity_grows(workbook, tmp_path):
    path = workbook([HEADER])
    bomb = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(bomb, "w") as target:
        for name in source.namelist():
            head = b'<!DOCTYPE a [<!ENTITY b "bb">]>' if name.endswith("sharedStrings.xml") else b""
            target.writestr(name, source.read(name).replace(b"?>", b"?>" + head, 1))
    with pytest.raises(DataError, match="declares a document type"):
        read_feedback(bomb)
