"""TMX, XLIFF and gettext catalogs."""

import struct
import tracemalloc
from collections import Counter

import polib
import pytest

from seq2seq_tfx.components.errors import PipelineError
from seq2seq_tfx.components.readers.options import ReadingConfig
from seq2seq_tfx.components.readers.registry import InputFile, read_pairs

from .reading import extras, read, read_bytes, told

EN_DE = {"source": "en", "target": "de"}

TMX = """<?xml version="1.0" encoding="{encoding}"?>
<!DOCTYPE tmx SYSTEM "tmx14.dtd">
<tmx version="1.4">
  <header srclang="en-US" datatype="plaintext"/>
  <body>
    <tu tuid="1"><prop type="domain">law &amp; order</prop>
      <tuv xml:lang="EN_us"><seg>one <hi>more</hi> <bpt i="1">&lt;b></bpt>x<ept i="1"/></seg></tuv>
      <tuv xml:lang="de-DE"><seg>eins &gt; ö</seg></tuv>
    </tu>
    <tu><tuv lang="en-US"><seg>two</seg></tuv><tuv lang="de"><seg> </seg></tuv></tu>
    <tu><tuv xml:lang="en-US"><seg>three</seg></tuv></tu>
    <tu><tuv xml:lang="en-US"><seg>four</seg></tuv>
      <tuv xml:lang="de-AT"><seg>vier A</seg></tuv><tuv xml:lang="de-CH"><seg>vier C</seg></tuv>
      <tuv xml:lang="fr"><seg>quatre</seg></tuv></tu>
  </body>
</tmx>
"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1"])
def test_tmx_is_read_in_the_languages_asked_for(tmp_path, encoding):
    data = TMX.format(encoding=encoding).encode(encoding)
    extra = {"key": "tuid", "domain": "domain"}
    rows = read_bytes(tmp_path, "a.tmx", data, languages=EN_DE, extra=extra)
    assert told(rows) == [
        ("one more x", "eins > ö", 6), ("empty_target", 10), ("missing_target", 11),
        ("four", "vier A", 12), ("four", "vier C", 12),
    ]  # fmt: skip
    assert extras([rows[0], rows[3]]) == [
        {"key": "1", "domain": "law & order"},
        {"key": "", "domain": ""},
    ]


def test_a_regional_language_takes_itself_alone(tmp_path):
    data = TMX.format(encoding="utf-8").encode()
    rows = read_bytes(tmp_path, "a.tmx", data, languages={"source": "en-US", "target": "de-ch"})
    assert [row for row in told(rows) if len(row) == 3] == [("four", "vier C", 12)]
    assert [row[0] for row in told(rows) if len(row) == 2] == ["missing_target"] * 3


def test_without_languages_a_tmx_says_them_itself(tmp_path):
    rows = read_bytes(tmp_path, "a.tmx", TMX.format(encoding="utf-8").encode())
    assert told(rows) == [
        ("one more x", "eins > ö", 6), ("empty_target", 10), ("unclear_languages", 11),
        ("unclear_languages", 12),
    ]  # fmt: skip
    any_source = TMX.replace("en-US", "*all*", 1).format(encoding="utf-8").encode()
    with pytest.raises(PipelineError, match=r"a\.tmx:6 .*set data\.languages"):
        read_bytes(tmp_path, "a.tmx", any_source)


XLIFF_1 = """<?xml version="1.0"?>
<xliff version="1.2" xmlns="urn:oasis:names:tc:xliff:document:1.2">
 <file original="a" source-language="en" target-language="de-DE" datatype="plaintext"><body>
  <trans-unit id="u1"><source>Hello <g id="1">big</g> <ph id="2">{0}</ph>world</source>
   <seg-source><mrk mtype="seg">no</mrk></seg-source>
   <target>Hallo <x id="3"/>Welt</target>
   <alt-trans><source>Hi</source><target>Nein</target></alt-trans></trans-unit>
  <group><trans-unit id="u2"><source>two</source></trans-unit></group>
 </body></file>
</xliff>
"""
XLIFF_2 = """<xliff version="2.0" srcLang="en" trgLang="de"
  xmlns="urn:oasis:names:tc:xliff:document:2.0"
  xmlns:mtc="urn:oasis:names:tc:xliff:matches:2.0">
 <file id="f"><unit id="u1">
  <mtc:matches><mtc:match ref="#1"><source>no</source><target>no</target></mtc:match></mtc:matches>
  <segment id="s1"><source>Hello <pc id="1">big</pc> world</source><target>Hallo</target></segment>
  <ignorable><source> </source></ignorable>
  <segment id="s2"><source>two</source><target/></segment>
 </unit></file>
</xliff>
"""


def test_xliff_of_both_versions_is_read(tmp_path):
    settings = {"languages": EN_DE, "extra": {"key": "id"}}
    rows = read_bytes(tmp_path, "a.xlf", XLIFF_1.encode(), **settings)
    assert told(rows) == [("Hello big world", "Hallo Welt", 4), ("missing_target", 8)]
    assert extras(rows[:1]) == [{"key": "u1"}]
    rows = read_bytes(tmp_path, "a.xliff", XLIFF_2.encode(), **settings)
    assert told(rows) == [("Hello big world", "Hallo", 6), ("empty_target", 8)]
    assert extras(rows[:1]) == [{"key": "u1"}]


@pytest.mark.parametrize(("document", "line"), [(XLIFF_1, 3), (XLIFF_2, 1)])
def test_xliff_of_other_languages_is_refused(tmp_path, document, line):
    languages = {"source": "en", "target": "fr"}
    with pytest.raises(PipelineError, match=rf"a\.xlf:{line} .*its target language is 'de"):
        read_bytes(tmp_path, "a.xlf", document.encode(), languages=languages)


BOMB = "".join(f'<!ENTITY b{i} "{f"&b{i - 1};" * 10}">' for i in range(1, 10))
DOCUMENTS = {"a.tmx": TMX.format(encoding="utf-8"), "a.xlf": XLIFF_1}


@pytest.mark.parametrize("name", DOCUMENTS)
@pytest.mark.parametrize(
    "declared",
    [
        f'<!ENTITY b0 "x">{BOMB}',
        '<!ENTITY e SYSTEM "file:///etc/passwd">',
        '<!ENTITY % p SYSTEM "http://127.0.0.1:1/x">%p;',
        '<!ENTITY quadratic "' + "x" * 50_000 + '">',
    ],
)
def test_a_document_that_declares_an_entity_is_refused(tmp_path, name, declared):
    text = DOCUMENTS[name]
    head, _, rest = text.partition("?>\n")
    rest = rest.replace('<!DOCTYPE tmx SYSTEM "tmx14.dtd">\n', "")
    bad = f"{head}?>\n<!DOCTYPE x [{declared}]>\n{rest}"
    with pytest.raises(PipelineError, match=rf"{name}:2 cannot be read: it declares an"):
        read_bytes(tmp_path, name, bad.encode(), languages=EN_DE)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.tmx", TMX.format(encoding="utf-8")[:-30].encode(), r"a\.tmx:1\d cannot be read: not"),
        ("a.tmx", b"<tmx><body></tmx>", r"a\.tmx:1 cannot be read: not well-formed XML: mismatch"),
        ("a.tmx", b"", r"a\.tmx:1 cannot be read: not well-formed XML: no element found"),
        ("a.tmx", b"<tmx>\n\n\xff</tmx>", r"a\.tmx:3 .*not well-formed"),
        ("a.tmx", b"<tmx>\n\0</tmx>", r"a\.tmx:2 .*not well-formed"),
        ("a.tmx", b'<?xml version="1.0" encoding="klingon"?><tmx/>', r"a\.tmx"),
        ("a.tmx", XLIFF_1.encode(), r"a\.tmx:2 cannot be read: expected TMX, found <xliff>"),
        ("a.xlf", b"<tmx/>", r"a\.xlf:1 cannot be read: expected XLIFF, found <tmx>"),
        ("a.xlf", b"<xliff>" + b"<g>" * 5000, r"a\.xlf.* cannot be read: "),
    ],
)
def test_a_broken_document_is_refused_with_its_line(tmp_path, name, data, message):
    with pytest.raises(PipelineError, match=message):
        read_bytes(tmp_path, name, data, languages=EN_DE)


@pytest.mark.slow
def test_a_large_tmx_is_read_in_little_memory(tmp_path):
    unit = '<tu><tuv xml:lang="en"><seg>{}</seg></tuv><tuv xml:lang="de"><seg>x</seg></tuv></tu>\n'
    with (tmp_path / "a.tmx").open("w") as file:
        file.write('<tmx version="1.4"><header srclang="en"/><body>\n')
        for i in range(50_000):
            file.write(unit.format(f"text {i} " * 10))
        for _ in range(2):
            file.write(unit.format("y" * 50_000_000))
        file.write("</body></tmx>")
    tracemalloc.start()
    file = InputFile((str(tmp_path / "a.tmx"),), "tmx")
    kinds = (getattr(row, "reason", "pair") for row in read_pairs(file, ReadingConfig()))
    rows = Counter(kinds)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert rows == {"pair": 50_000, "long_source": 2}
    assert peak < 30_000_000


PO = """\
# A header.
msgid ""
msgstr ""
"Content-Type: text/plain; charset=UTF-8\\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\\n"

#. A comment.
msgctxt "menu"
msgid "Open"
msgstr "Öffnen"

#, fuzzy
msgid "Close"
msgstr "Schlüssen"

msgid "Two "
"lines"
msgstr ""

#, python-format
msgid "%d file"
msgid_plural "%d files"
msgstr[0] "%d Datei"
msgstr[1] "%d Dateien"

#~ msgid "Old"
#~ msgstr "Alt"
"""
SINGLE = [
    ("Open", "Öffnen", 8), ("fuzzy", 13), ("empty_target", 16), ("%d file", "%d Datei", 21),
    ("%d files", "%d Dateien", 21), ("obsolete", 26),
]  # fmt: skip


def test_gettext_catalogs_are_read_with_plurals_and_contexts(tmp_path):
    rows = read_bytes(tmp_path, "a.po", PO.encode(), extra={"where": "context"})
    assert [row[:-1] for row in told(rows)] == [row[:-1] for row in SINGLE]
    assert extras([rows[0], rows[3]]) == [{"where": "menu"}, {"where": ""}]
    polib.pofile(str(tmp_path / "a.po")).save_as_mofile(str(tmp_path / "a.mo"))
    kept = {(row.source, row.target) for row in read(tmp_path / "a.mo")}
    assert kept == {("Open", "Öffnen"), ("%d file", "%d Datei"), ("%d files", "%d Dateien")}


def test_a_single_form_stands_for_singular_and_plural(tmp_path):
    data = 'msgid "%d file"\nmsgid_plural "%d files"\nmsgstr[0] "%d x"\n'
    rows = read_bytes(tmp_path, "a.po", data.encode())
    assert [row[:2] for row in told(rows)] == [("%d file", "%d x"), ("%d files", "%d x")]


@pytest.mark.parametrize("last", ["", "#", "#:", "#,", "#.", '#~| msgid "x"', "# text", "\n\n#:\n"])
def test_comments_at_the_end_of_a_catalog_cost_no_entry(tmp_path, last):
    whole, commented = (
        read_bytes(tmp_path, "a.po", f"{content}{last}".encode())
        for content in (PO, 'msgid "a"\nmsgstr "b"\n')
    )
    assert len(whole) == len(SINGLE)
    assert told(commented) == [("a", "b", 1)]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.po", b'msgid "a"\nmsgstr "b\nmsgid "c"\n', r"a\.po:2 cannot be read: .*quotes"),
        ("a.po", b'msgid "a"\nmsgstr "b"\n\nwhat\n', r"a\.po:4 cannot be read: "),
        ("a.po", b'msgid "a"\nmsgstr "\xff"\n', r"a\.po:2 cannot be read: not utf-?8"),
        ("a.po", b"/etc/passwd", r"a\.po:1 cannot be read: "),
        ("a.po", b'msgid "a"\n# b\nmsgid "c"\nmsgstr "d"\n', r"a\.po:1 .* expected a msgstr"),
        ("a.po", b'#~ msgid "a"\n#. b\n\nmsgid "c"\nmsgstr "d"\n', r"a\.po:1 .* expected a msgs"),
        ("a.po", b'msgid "a"\nmsgstr "b"\nmsgid "c"\n#\n', r"a\.po:3 .* expected a msgstr"),
        ("a.po", b'msgid "a"\nmsgstr "b"\n# c\nmsgstr "d"\n', r"a\.po .* 1 msgid, but 2 entries"),
        ("a.mo", b"a\tb\n" * 9, r"a\.mo cannot be read: "),
        ("a.mo", b"\xde\x12\x04\x95" + b"\xff" * 60, r"a\.mo cannot be read: "),
        ("a.mo", b"", r"a\.mo cannot be read: "),
    ],
)
def test_a_broken_catalog_is_refused(tmp_path, name, data, message):
    with pytest.raises(PipelineError, match=message) as caught:
        read_bytes(tmp_path, name, data)
    assert "/tmp/tmp" not in str(caught.value)


def test_a_binary_catalog_that_is_cut_anywhere_is_refused(tmp_path):
    whole = polib.pofile(PO).to_binary()
    for end in range(len(whole)):
        with pytest.raises(PipelineError, match=r"a\.mo cannot be read: "):
            read_bytes(tmp_path, "a.mo", whole[:end])


def test_a_binary_catalog_whose_entries_share_one_large_string_is_refused(tmp_path):
    number, size = 400, 1_000_000
    start = 28 + 16 * number
    ids = struct.pack("<2I", 1, start + size + 1) * number
    header = struct.pack("<7I", 0x950412DE, 0, number, 28, 28 + 8 * number, 0, 0)
    texts = struct.pack("<2I", size, start) * number + b"y" * size + b"\0a\0"
    tracemalloc.start()
    with pytest.raises(PipelineError, match=r"a\.mo .* larger than the file, .* of entry 2 on"):
        read_bytes(tmp_path, "a.mo", header + ids + texts)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 * size


def test_a_catalog_with_a_far_too_long_line_is_refused_at_it(tmp_path):
    for text in (b"x" * 3_000_000, rb"\n" * 1_500_000):
        tracemalloc.start()
        with pytest.raises(PipelineError, match=r"a\.po:2 cannot be read: a line of 3,000,009 by"):
            read_bytes(tmp_path, "a.po", b'msgid "a"\nmsgstr "' + text + b'"\n')
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 30_000_000


@pytest.mark.parametrize(
    "line", [rb'"\"', rb'"a\\" "', rb'msgid\n"a"', rb'msgstr[\n]"a"', rb'"a"\"']
)
def test_an_escape_outside_of_a_string_is_no_part_of_a_catalog(tmp_path, line):
    with pytest.raises(PipelineError, match=r"a\.po:3 cannot be read: .*quotes"):
        read_bytes(tmp_path, "a.po", b'msgid "a"\nmsgstr "b"\n' + line + b"\n")


def _unit(sources, targets):
    variants = [("en-US", f"s{n}") for n in range(sources)]
    variants += [("de", f"t{n}") for n in range(targets)]
    tuvs = "".join(f'<tuv xml:lang="{code}"><seg>{text}</seg></tuv>' for code, text in variants)
    return f'<tmx><header srclang="en"/><body><tu>{tuvs}</tu></body></tmx>'.encode()


def test_each_variant_of_a_source_is_a_pair_with_each_of_the_target(tmp_path):
    pairs = [("s0", "t0", 1), ("s0", "t1", 1), ("s1", "t0", 1), ("s1", "t1", 1)]
    assert told(read_bytes(tmp_path, "a.tmx", _unit(2, 2))) == pairs
    assert told(read_bytes(tmp_path, "a.tmx", _unit(40, 40))) == [("many_variants", 1)]


def test_a_long_side_of_a_document_is_whole_or_rejected(tmp_path):
    long = "x" * 1_500_000
    variants = f'<tuv xml:lang="en"><seg>{long}</seg></tuv><tuv xml:lang="de"><seg>b</seg></tuv>'
    data = f'<tmx><header srclang="en"/><body><tu>{variants}</tu></body></tmx>'.encode()
    rows = read_bytes(tmp_path, "a.tmx", data, max_characters=1_500_000)
    assert told(rows) == [(long, "b", 1)]
    assert told(read(tmp_path / "a.tmx")) == [("long_source", 1)]


@pytest.mark.parametrize("encoding", ["big5", "shift_jis", "gbk", "iso-8859-1"])
def test_a_catalog_is_read_in_its_own_encoding(tmp_path, encoding):
    # Of all but the é the last byte is that of a backslash.
    target = {"big5": "成功", "shift_jis": "表", "gbk": "誠", "iso-8859-1": "é"}[encoding]
    header = f'msgid ""\nmsgstr "Content-Type: text/plain; charset={encoding}\\n"\n'
    data = f'{header}\nmsgid "a"\nmsgstr "{target}"\n'.encode(encoding)
    assert told(read_bytes(tmp_path, "a.po", data)) == [("a", target, 4)]
