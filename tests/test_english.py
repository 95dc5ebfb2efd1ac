"""Pages, configs, code and scripts are in plain English: no banned words, no long sentences.

Each rule has a reason and the words to use instead. Of code, docstrings and texts are checked.
Code in pages, and tables that a program writes, are left out.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.peers import ROOT

MAX_WORDS = 40
MAX_WORDS_IN_CODE = 25
PAGES = (
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
)
CONFIGS = (*sorted((ROOT / "conf").glob("**/*.toml")), *sorted((ROOT / "conf").glob("*.y*ml")))
# Packages and modules whose docstrings and texts are checked.
CODE_AREAS = (
    "rrdns/cli",
    "rrdns/config",
    "rrdns/web/api",
    "rrdns/core/delegation",
    "rrdns/core/health",
    "rrdns/core/orders",
    "rrdns/core/explanation.py",
    "rrdns/core/model.py",
    "rrdns/core/roles.py",
    "rrdns/core/status.py",
    "rrdns/errors.py",
    "rrdns/export/errors.py",
    "rrdns/export/settings.py",
    "rrdns/export/webhooks/settings.py",
    "rrdns/lab",
    "rrdns/net/*.py",
    "rrdns/snippets",
    "rrdns/store",
    "rrdns/template.py",
    "rrdns/wire/tftp",
)
MODULES = tuple(
    module
    for area in CODE_AREAS
    for module in sorted(ROOT.glob(area if area.endswith(".py") else f"{area}/**/*.py"))
)
# Of literals that are SQL or SVG.
CODE_STARTS = ("CREATE ", "SELECT ", "INSERT ", "DELETE ", "UPDATE ", "DROP ", "PRAGMA ", "<")
MIN_WORDS_OF_A_TEXT = 4  # in a string literal; a shorter one may be a name or a key
# The page, and the config that admins copy to other servers.
STATIC = tuple(
    path
    for path in sorted((ROOT / "rrdns/web/static").iterdir())
    if path.suffix in {".js", ".html"}
)
SNIPPETS = tuple(
    path for path in sorted((ROOT / "rrdns/snippets/templates").rglob("*")) if path.is_file()
)
# First cells of the tables that tests compare with the words of the code.
GENERATED_TABLES = (
    "| metric | type |",
    "| call | needs |",
    "| answer | query |",
    "| server | iPXE |",
)


@dataclass(frozen=True, slots=True)
class Rule:
    """A banned word or construction."""

    pattern: str
    instead: str  # what to write, with the reason where it is not plain
    example: str  # a sentence that the rule finds


# How a docstring begins that does not begin with a verb in the imperative.
NO_VERB = re.compile(
    r"(?:The|An?|It|This|These|What|Who|How|When|Where|Whether|If|[A-Z][a-z]+(?<!s)s)\b"
).match

SUBJECT = "name the subject: a client, a member, a resolver, an admin"
GLOSSARY = "one word for one thing"
OLD = "not what one says to a colleague"

RULES = (
    # The subject is missing.
    Rule(r"\b(?:who|what|which)ever\b", SUBJECT, "Whoever asks is refused."),
    Rule(r"\b(?:some|any|no|every)(?:body|one)\b", SUBJECT, "Nobody reads it."),
    Rule(r"\bwhom\b", SUBJECT, "It shows from whom a target booted."),
    Rule(r"^(?:Who|What)\b.{15,}\.$", SUBJECT, "What does not hold: a killed process."),
    Rule(r"^Ones? (?:that|who|which)\b", SUBJECT, "One that stays away cannot start."),
    Rule(r"\bthose (?:who|that)\b", SUBJECT, "Those that ask get an answer."),
    # A home-made word for a thing that has a name.
    Rule(r"\baskers?\b", f"client ({GLOSSARY})", "The asker's subnet counts."),
    Rule(r"\bhand(?:s|ed|ing)? out\b", f"in rotation ({GLOSSARY})", "It is handed out."),
    Rule(r"\bhands? \S+ out\b", f"in rotation ({GLOSSARY})", "The script hands it out."),
    Rule(r"\bmemos?\b", f"packet cache ({GLOSSARY})", "The memo is emptied."),
    Rule(r"\btime-outs?\b", f"timeout ({GLOSSARY})", "The longest time-out is over."),
    Rule(r"\bmend(?:s|ed|ing)?\b", f"remedy, fix, repair ({GLOSSARY})", "Each has its mend."),
    Rule(r"\bguard's word\b", "the guard's result", "The guard's word is shown."),
    Rule(r"\boverrul(?:es?|ed|ing)\b", "override", "Force overrules the guard."),
    # A verb that is not the field's.
    Rule(r"\b(?:tells?|telling|told)\b", "shows, reports, sends, logs", "The log tells why."),
    Rule(r"\b(?:says?|saying|said)\b", "shows, returns, logs, means", "The log says why."),
    Rule(r"\b(?:falls|fell|fallen)\b", "exits, crashes", "A worker that falls is replaced."),
    Rule(r"\blets? go\b", "drops", "The oldest are let go."),
    Rule(r"\b(?:is|are|was|were) ended\b", "closed, stopped", "The connection is ended."),
    Rule(r"\bpass(?:es|ed)? over\b", "ignores, skips", "Unknown fields are passed over."),
    Rule(r"\b(?:go|goes|going|went) on\b", "continues", "Answers go on."),
    Rule(r"\bhold(?:s|ing)? up\b|\bheld up\b", "blocks, delays", "A disk holds up probes."),
    Rule(r"\bgives? up\b(?!\s+after)", "drops, stops", "It gives up a connection."),
    Rule(
        r"\bstands? (?:first|still|for|there|behind)\b", "is, does not change", "It stands first."
    ),
    Rule(r"\bstands? (?:in|at|on|beside)\b", "is", "Comments that stand in the file are lost."),
    Rule(r"\b(?:makes?|made|making) of\b", "does with, reacts to", "See what rrdns makes of it."),
    Rule(r"\bc[oa]me(?:s|) of (?:it|an?|the)\b", "becomes, results", "What came of it."),
    Rule(r"\bput(?:s|ting)? (?:an? \w+ )?off\b", "plan for later", "At puts an order off."),
    Rule(r"\bplays? targets\b", "simulates", "The command plays targets."),
    # Old or rare words.
    Rule(r"\banew\b", f"again, re- ({OLD})", "It reads the file anew."),
    Rule(r"\bseldom\b", f"rarely ({OLD})", "Rotate seldom."),
    Rule(r"\blest\b", f"so that ... not ({OLD})", "Lest a stale file names another."),
    Rule(r"\bwant of\b", f"lack of, too little ({OLD})", "A want of memory stops it."),
    Rule(r"\ball the same\b", f"even then, still ({OLD})", "The header is needed all the same."),
    Rule(r"\bbeside\b", f"next to, compared with ({OLD})", "The new version beside the old."),
    Rule(r"\blikewise\b", f"the same, also ({OLD})", "It is resumed likewise."),
    Rule(r"\bin the hope\b", "because it may", "In the hope that one boots."),
    Rule(r"\bas ever\b", f"as usual ({OLD})", "It moves, as ever."),
    Rule(r"\b(?:save|but) for\b|\bsave that\b", f"except ({OLD})", "Equal but for the ID."),
    Rule(
        r"\bnow and (?:then|again)\b", "with the interval: every 30 s", "It is read now and then."
    ),
    Rule(r"\bagain and again\b", "repeatedly", "It exits again and again."),
    Rule(r"\bparticulars\b", "without options", "An order without particulars."),
    Rule(r"\bmid-\w+", "in the middle of, during", "A server dies in mid-storm."),
    Rule(r"\bthe trouble\b|\bin trouble\b", "failure, problem", "The control is in trouble."),
    Rule(
        r"\bof (?:yours|theirs|ours|its own|his own|their own)\b", "its own X", "A net of its own."
    ),
    # Inversions and double negatives.
    Rule(r"\bany ?more\b", "no longer", "It is not there any more."),
    Rule(
        r"(?<!there )\b(?:is|are|was|were) no (?!longer\b)\w+",
        "is not a, has no",
        "A request that is no HTTP is not logged.",
    ),
    Rule(
        r"(?:^|[.,:;] )[Ss]hould (?:the|an?|it|they|you|every|all|each|one)\b",
        "condition first, with 'if'",
        "Should every probe fail, all are answered.",
    ),
    Rule(
        r"\b(?:nothing|none|no \w+) that (?:\w+ )?(?:not|never)\b",
        "say it without the double negative",
        "It names nothing that would not change it.",
    ),
    Rule(r"\bnot un(?!d|i|t|less)\w+", "say it without the double negative", "It is not unlikely."),
    Rule(r"^Of [^.]{1,60} (?:rrdns|it) (?:knows|has)\b", "subject first", "Of a token it has it."),
    Rule(
        r"\bthat is (?:said|told)\b", "'and logs it', in a sentence of its own", "And that is said."
    ),
)


def passages(text: str) -> Iterator[str]:
    """Return each paragraph, list item, heading and table cell, without code and link targets."""
    text = re.sub(r"^( *)```.*?^\1```$", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"`[^`\n]*(?:\n[^`\n]+)?`", "CODE", text)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"https?://\S+", "CODE", text).replace("*", "")
    is_generated = False
    for block in re.split(r"\n\s*\n|\n(?= *- | *\d\. |#|\|)|(?<=\|)\n", text):
        line = " ".join(block.split())
        if not line.startswith("|"):
            is_generated = False
            yield line.lstrip("-# ")
        elif line.startswith(GENERATED_TABLES):
            is_generated = True
        elif not is_generated:
            yield from (cell.strip() for cell in line.strip("|").split("|"))


def comments(text: str) -> str:
    """Return the comments of a TOML or YAML file, and its texts for people, as paragraphs."""
    found: list[str] = []
    for line in text.splitlines():
        if block := re.match(r"\s*# (?![\w_]+ +=|\[)(.*)", line):
            found.append(block[1])
            continue
        texts = re.findall(r'# ([^#]+)$|(?:summary|description): "(.*)"', line)
        found += ["", *("".join(groups) for groups in texts), ""]
    return "\n".join(found)


def sentences(text: str) -> Iterator[str]:
    """Return the sentences of a page's prose; a semicolon ends one, too."""
    for passage in passages(text):
        yield from re.split(r"(?<=[\w)\"'%][.!?;])\s+", passage)


def texts(source: str) -> Iterator[str]:
    """Return the docstrings and the texts of a Python module; values in f-strings are CODE."""
    tree = ast.parse(source)
    parts = {
        part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values
    }
    docstrings = {
        node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)
    }  # of modules, classes and functions, and below settings
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if node in docstrings:
                yield text
            case ast.Constant(value=str(text)) if node not in parts and is_prose(text):
                yield text
            case ast.JoinedStr() if is_prose(text := joined(node)):
                yield text


def joined(node: ast.JoinedStr) -> str:
    """Return the text of an f-string, with CODE for each value."""
    return "".join(
        str(part.value) if isinstance(part, ast.Constant) else "CODE" for part in node.values
    )


def is_prose(text: str) -> bool:
    """Return whether a string literal is a text for people, not a name, pattern or command."""
    if text.lstrip().startswith(CODE_STARTS):
        return False
    return len(re.findall(r"(?:^|\s)[\"'(]*[A-Za-z][\w'-]*", text)) >= MIN_WORDS_OF_A_TEXT


def first_words(source: str) -> Iterator[str]:
    """Return the first sentence of each function's docstring."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield (ast.get_docstring(node) or "").partition("\n")[0]


def findings(text: str, max_words: int = MAX_WORDS) -> Iterator[str]:
    """Return what is against the rules in a page, each with what to do about it."""
    for sentence in sentences(text):
        for rule in RULES:
            if found := re.search(rule.pattern, sentence, re.IGNORECASE):
                yield f"{found[0]!r} -> {rule.instead}: {sentence}"
        words = len(re.findall(r"\w[\w'.,:/-]*", sentence))
        if words > max_words:
            yield f"{words} words, more than {max_words}: {sentence}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_is_in_plain_english(page: Path) -> None:
    """It has no banned word or construction, and no sentence of more than 40 words."""
    found = list(findings(page.read_text()))
    assert not found, "\n".join(found)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_comments_of_a_config_are_in_plain_english(path: Path) -> None:
    """So are the texts of the alerts."""
    found = list(findings(comments(path.read_text())))
    assert not found, "\n".join(found)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_docstrings_and_texts_of_code_are_in_plain_english(path: Path) -> None:
    """Sentences have 25 words at most, and docstrings of functions begin with a verb."""
    source = path.read_text()
    found = [each for text in texts(source) for each in findings(text, MAX_WORDS_IN_CODE)]
    found += [f"not in the imperative: {line}" for line in first_words(source) if NO_VERB(line)]
    assert not found, "\n".join(found)


def test_the_core_writes_no_commands() -> None:
    """It returns codes and facts. The CLI and the API know commands and options."""
    found = [
        f"{path.relative_to(ROOT)}: {text}"
        for path in sorted((ROOT / "rrdns" / "core").rglob("*.py"))
        for text in texts(path.read_text())
        if re.search(
            r"(?:^|\s)--[a-z]|`rrdns [a-z]|: rrdns (?:resume|drain|force|query|status) ", text
        )
    ]
    assert not found, "\n".join(found)


def static_texts(source: str) -> str:
    """Return the texts of a script or a page as paragraphs: comments, strings, contents.

    A field of a template string is a word.
    """
    if source.startswith("<!doctype html>"):
        attributes = re.findall(r'(?:aria-label|placeholder|title|content)="([^"]*)"', source)
        return "\n\n".join([re.sub(r"<[^>]*>", "\n\n", source), *attributes])
    comments = re.findall(r"(?s)/\*+(.*?)\*/|// ([^\n]*)", source)
    code = re.sub(r"(?s)/\*.*?\*/|// [^\n]*", "", source)
    strings = re.findall(r'"([^"\n]*)"|`([^`]*)`', re.sub(r"\$\{[^{}]*\}", "X", code))
    found = ["".join(groups) for groups in [*comments, *strings]]
    return "\n\n".join(text for text in found if " " in text)


@pytest.mark.parametrize("path", STATIC, ids=lambda path: str(path.name))
def test_the_texts_of_the_page_are_in_plain_english(path: Path) -> None:
    """So are the comments of its scripts."""
    found = list(findings(static_texts(path.read_text())))
    assert not found, "\n".join(found)


@pytest.mark.parametrize("path", SNIPPETS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_the_comments_of_a_snippet_are_in_plain_english(path: Path) -> None:
    """They are what an admin reads next to the config."""
    comments = re.findall(r"(?m)^\s*(?:#|//|;) (.*)", path.read_text())
    found = list(findings("\n\n".join(comments)))
    assert not found, "\n".join(found)


def test_the_texts_of_a_script_and_of_a_page_are_read() -> None:
    """Comments, strings with a space in them, contents and attributes."""
    script = '/** Tell it. */\nf(`a ${b} told`); // said\n"seldom so"; "told"\n'
    assert len(list(findings(static_texts(script)))) == 3
    page = '<!doctype html><p title="seldom">It <b>tells</b></p>'
    assert len(list(findings(static_texts(page)))) == 2


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.pattern)
def test_each_rule_finds_its_example(rule: Rule) -> None:
    """A rule that finds nothing would check nothing."""
    assert any(rule.instead in one for one in findings(rule.example))


def test_a_long_sentence_is_found_and_code_is_not_read() -> None:
    """Code blocks, code spans, link targets and generated tables are left out."""
    longest = "word" + " word" * (MAX_WORDS - 1)
    assert not list(findings(f"{longest}. {longest}; {longest}."))
    assert list(findings(f"{longest} word."))
    assert not list(findings("```console\nthe log tells why\n```\nUse `tell` here.\n"))
    assert not list(findings("See [the page](told.md).\n"))
    assert not list(findings("| metric | type |\n|---|---|\n| it tells | gauge |\n"))
    assert not list(findings(comments('tell = "all"  # which members are sent')))
    assert list(findings(comments("tell = 1  # what it tells")))
    assert list(findings(comments("# It is\n# not there any\n# more.")))
    assert list(findings(comments('summary: "The log tells why"')))
    assert list(findings("| code | meaning |\n|---|---|\n| `x` | the log tells why |\n"))


def test_docstrings_and_texts_of_code_are_read() -> None:
    """Names and keys are left out; a value in a text counts as one word."""
    code = (
        """'One.'\nX = {"key": f"two is {1} of many", "a b": r"\\d+"}\nclass A:\n    'Three.'\n"""
    )
    assert sorted(texts(code)) == ["One.", "Three.", "two is CODE of many"]
    assert [NO_VERB(line) is None for line in ("Return it.", "Returns it.", "The way.")] == [
        True,
        False,
        False,
    ]
    assert list(first_words('def f():\n    """Do it.\n\n    Well.\n    """\n')) == ["Do it."]
