"""The documents agree with the code: every example is read, every list is compared."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import typer.main
import yaml
from jsonschema import Draft7Validator

import likewise
from docs.generate import BLOCKS, FILES, PAGES, blocks_in, generated
from likewise import __version__
from likewise.cli.app import app
from likewise.errors import InvalidInputError, ReplyError
from likewise.log.topics import Topics
from likewise.messages import event_decoding, experiments, items, request_decoding, scenarios
from likewise.messages.announcements import TOPIC_KEY, decode_announcement
from likewise.messages.codes import DEAD_LETTERS, REPLY_ERRORS
from likewise.messages.dead_letters import DeadLetter, decode_dead_letter, encode_headers
from likewise.messages.event_decoding import decode_event
from likewise.messages.events import ACTIONS
from likewise.messages.experiments import decode_experiment
from likewise.messages.exposures import decode_exposure
from likewise.messages.items import decode_item
from likewise.messages.replies import decode_reply
from likewise.messages.reply_routes import (
    CORRELATION_HEADER,
    REPLY_PARTITION_HEADER,
    REPLY_TOPIC_HEADER,
)
from likewise.messages.request_decoding import decode_request
from likewise.messages.scenarios import decode_scenario
from likewise.messages.where import parse_where
from likewise.records import UNREADABLE_CODES, TopicPartition
from likewise.settings.loader import setting_names
from likewise.testing.memory_log import MemoryRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
SOURCE = Path(likewise.__file__).parents[1]
PROTOCOL = (ROOT / "docs/protocol.md").read_text(encoding="utf-8")
OPERATIONS = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
ASYNCAPI: dict[str, Any] = yaml.safe_load((ROOT / "asyncapi.yaml").read_text(encoding="utf-8"))
MESSAGES: dict[str, Any] = ASYNCAPI["components"]["messages"]


def _decode_error(body: bytes) -> None:
    with pytest.raises(ReplyError) as raised:
        decode_reply(body)
    assert raised.value.code != "invalid_reply"


def _decode_event(body: bytes) -> None:
    decode_event(_record(body))


DECODERS: dict[str, Callable[[bytes], object]] = {
    "event": _decode_event,
    "request": decode_request,
    "item": lambda body: decode_item(_record(body)),
    "scenario": lambda body: decode_scenario(_record(body)),
    "experiment": lambda body: decode_experiment(_record(body)),
    "where": lambda body: parse_where(json.loads(body)),
    "reply": decode_reply,
    "error": _decode_error,
    "announcement": decode_announcement,
    "exposure": lambda body: decode_exposure(_record(body)),
}
SAID_BY_ASYNCAPI = {
    "Like": "event",
    "Unlike": "event",
    "ForgetUser": "event",
    "RetireItem": "event",
    "RestoreItem": "event",
    "Dislike": "event",
    "Undislike": "event",
    "Hide": "event",
    "Unhide": "event",
    "Signal": "event",
    "Unsignal": "event",
    "MergeUsers": "event",
    "RequestForUser": "request",
    "RequestForSession": "request",
    "RequestForSimilarItems": "request",
    "RequestForUsersOfItem": "request",
    "RequestForUsersLikeUser": "request",
    "CatalogueItem": "item",
    "Scenario": "scenario",
    "Experiment": "experiment",
    "Recommendations": "reply",
    "Error": "error",
    "Announcement": "announcement",
    "Exposure": "exposure",
}


def _record(value: bytes | None, headers: tuple[tuple[str, bytes], ...] = ()) -> MemoryRecord:
    return MemoryRecord("likes", 0, 0, 0, None, value, headers)


def _asyncapi_examples() -> list[Any]:
    return [
        pytest.param(message, kind, example["payload"], id=f"{kind}-{example['name']}")
        for message, kind in SAID_BY_ASYNCAPI.items()
        for example in MESSAGES[message]["examples"]
    ]


def _protocol_examples() -> list[tuple[str, str]]:
    return re.findall(r"^```json (\w+)\n(.*?)^```$", PROTOCOL, re.MULTILINE | re.DOTALL)


# --- asyncapi.yaml ---------------------------------------------------------------------------


def test_asyncapi_yaml_keeps_to_asyncapis_own_schema() -> None:
    schema = json.loads(Path(__file__).with_name("asyncapi-3.0.0.schema.json").read_text())
    assert [error.message for error in Draft7Validator(schema).iter_errors(ASYNCAPI)] == []


def test_every_reference_in_asyncapi_yaml_leads_somewhere() -> None:
    references = list(_references(ASYNCAPI))
    assert references
    for reference in references:
        _follow(reference)


@pytest.mark.parametrize(("message", "kind", "payload"), _asyncapi_examples())
def test_an_example_in_asyncapi_yaml_fits_its_schema_and_is_read_by_the_code(
    message: str, kind: str, payload: Any
) -> None:
    schema = _resolved(MESSAGES[message]["payload"])
    assert [error.message for error in Draft7Validator(schema).iter_errors(payload)] == []
    DECODERS[kind](json.dumps(payload).encode())


def test_the_dead_letter_in_asyncapi_yaml_has_the_headers_that_the_code_writes() -> None:
    declared = MESSAGES["DeadLetter"]["headers"]
    letter = DeadLetter.of(_record(b"hello"), InvalidInputError("not_json", "no JSON"))
    written = {name for name, _ in encode_headers(letter)}
    assert set(declared["required"]) == written
    most = msgspec.structs.replace(letter.truncated(), last_offset=7)
    assert set(declared["properties"]) == {name for name, _ in encode_headers(most)}
    for example in MESSAGES["DeadLetter"]["examples"]:
        headers = tuple((name, value.encode()) for name, value in example["headers"].items())
        found = decode_dead_letter(_record(example["payload"].encode(), headers))
        assert found.source == TopicPartition("likes", 3)


def test_asyncapi_yaml_names_the_topics_actions_headers_and_version_of_the_code() -> None:
    topics = Topics()
    assert {channel["address"] for channel in ASYNCAPI["channels"].values()} == {
        spec.name for spec in topics.specs(1)
    }
    schemas = ASYNCAPI["components"]["schemas"]
    named = [name for name, kind in SAID_BY_ASYNCAPI.items() if kind == "event"]
    actions = [schemas[f"{name}Action"]["enum"] for name in named]
    assert [len(each) for each in actions] == [1] * len(ACTIONS)
    assert {action for each in actions for action in each} == ACTIONS
    assert set(schemas["RequestHeaders"]["properties"]) == {
        CORRELATION_HEADER,
        REPLY_TOPIC_HEADER,
        REPLY_PARTITION_HEADER,
    }
    assert MESSAGES["Announcement"]["bindings"]["kafka"]["key"]["const"].encode() == TOPIC_KEY
    assert ASYNCAPI["info"]["version"] == __version__


@pytest.mark.parametrize("kind", ["event", "request", "item", "scenario", "experiment"])
def test_asyncapi_yaml_has_every_field_that_the_code_reads_and_no_other(kind: str) -> None:
    module = {
        "event": event_decoding,
        "request": request_decoding,
        "item": items,
        "scenario": scenarios,
        "experiment": experiments,
    }[kind]
    read = module._Body.__struct_fields__
    envelope = {"specversion", "type", "data", "data_base64"}  # of CloudEvents
    messages = [name for name, said in SAID_BY_ASYNCAPI.items() if said == kind]
    declared = {
        field for name in messages for field in _fields(_resolved(MESSAGES[name]["payload"]))
    }
    assert declared == set(read) - envelope


@pytest.mark.parametrize("message", SAID_BY_ASYNCAPI)
def test_generators_make_one_class_of_each_message(message: str) -> None:
    """Whatever has no name gets one from the generator, and unions become objects of no type."""
    for node in _nodes(_resolved(MESSAGES[message]["payload"])):
        assert not {"anyOf", "oneOf", "const"} & set(node)
        assert "type" in node or "allOf" in node, node


def test_asyncapi_yaml_lists_the_codes_of_error_replies() -> None:
    codes = ASYNCAPI["components"]["schemas"]["ErrorCode"]
    assert codes["enum"] == sorted(REPLY_ERRORS)


# --- docs/protocol.md ------------------------------------------------------------------------


def test_docs_protocol_shows_every_kind_of_message() -> None:
    assert {kind for kind, _ in _protocol_examples()} == set(DECODERS)


@pytest.mark.parametrize(("kind", "body"), _protocol_examples())
def test_an_example_in_docs_protocol_is_read_by_the_code(kind: str, body: str) -> None:
    DECODERS[kind](body.encode())


def test_every_code_that_the_code_can_give_is_documented_and_no_other() -> None:
    assert REPLY_ERRORS.keys() | DEAD_LETTERS.keys() == _codes_in_the_source() | UNREADABLE_CODES
    assert not REPLY_ERRORS.keys() & DEAD_LETTERS.keys()


# --- generated tables ------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_generated_tables_of_a_page_are_up_to_date(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text == generated(text), "run `make docs`"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_generated_file_is_up_to_date(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == FILES[path](), "run `make docs`"


def test_every_generated_table_is_on_one_page() -> None:
    assert sorted(name for page in PAGES for name in blocks_in(page.read_text())) == sorted(BLOCKS)


@pytest.mark.parametrize("block", BLOCKS)
def test_every_row_of_a_generated_table_is_explained(block: str) -> None:
    rows = re.findall(r"^\| [`\d].*", BLOCKS[block](), re.MULTILINE)
    assert rows
    for row in rows:
        assert not re.search(r"\| *\|", row), row


# --- docs/operations.md and README.md --------------------------------------------------------


def test_every_environment_variable_in_the_documents_is_a_setting() -> None:
    settable = {f"LIKEWISE_{table}_{name}".upper() for table, name in setting_names()}
    settable |= {"LIKEWISE_CONFIG", "LIKEWISE_STRICT_SETTINGS", "LIKEWISE_TEST_SERVERS"}
    settable |= {"LIKEWISE_REDIS_SERVICE_HOST", "LIKEWISE_SERVER_PORT"}  # Kubernetes' own
    settable |= {"LIKEWISE_REDIS_PASSWORD_FILE", "LIKEWISE_KAFKA_SASL_PASSWORD_FILE"}
    settable |= {"LIKEWISE_REDIS_SENTINEL_PASSWORD_FILE", "LIKEWISE_SIGNALS_BUY"}
    files = [README, PROTOCOL, OPERATIONS, (ROOT / "docker-compose.yml").read_text()]
    named = set(re.findall(r"\bLIKEWISE_[A-Z_]*[A-Z]\b", "\n".join(files)))
    assert named
    assert named <= settable


def test_every_command_in_the_documents_exists() -> None:
    commands = _commands()
    pages = [path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md")]
    documents = "\n".join([README, *pages])
    blocks = "\n".join(re.findall(r"^```.*?^```$", documents, re.MULTILINE | re.DOTALL))
    named = set(re.findall(r"(?:^|[|] |exec \w+ )likewise ([a-z][a-z-]*)", blocks, re.MULTILINE))
    named |= set(re.findall(r"`likewise ([a-z][a-z-]*)", documents))
    assert named
    assert named <= commands


def test_every_link_in_the_documents_leads_to_a_file_and_a_heading() -> None:
    clients = ROOT / "clients" / "typescript" / "README.md"
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), clients]:
        text = path.read_text(encoding="utf-8")
        links = re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", text)
        links += [(image, "") for image in re.findall(r' src(?:set)?="([^"]*)"', text)]
        for link, anchor in links:
            target = path.parent / link if link else path
            assert target.exists(), f"{path.name}: {link}"
            if anchor:
                assert anchor in _anchors(target), f"{path.name}: {link}#{anchor}"


def test_every_document_that_the_code_names_exists() -> None:
    folders = ("benchmarks", "consumers", "gateway", "indexer", "likewise", "serving", "tests")
    for path in [path for folder in folders for path in (ROOT / folder).rglob("*.py")]:
        for document in re.findall(r"\bdocs/[\w/-]+\.md\b", path.read_text(encoding="utf-8")):
            assert (ROOT / document).exists(), f"{path.relative_to(ROOT)}: {document}"


def test_every_make_target_in_the_documents_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    documents = README + (ROOT / "CONTRIBUTING.md").read_text()
    assert set(re.findall(r"\bmake ([a-z-]+)\b`", documents)) <= targets


def test_the_changelog_has_an_entry_for_this_version() -> None:
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


# --- reading ---------------------------------------------------------------------------------


def _anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as Git hosts make them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _commands() -> set[str]:
    group: Any = typer.main.get_command(app)
    return set(group.commands)


def _codes_in_the_source() -> set[str]:
    """Return the first argument of every error that becomes a reply or a dead letter."""
    # What these refuse costs no event and no request.
    elsewhere = {"codes.py", "dead_letters.py", "times.py", "written_times.py"}
    paths = [
        *(
            path
            for path in (SOURCE / "likewise/messages").glob("*.py")
            if path.name not in elsewhere
        ),
        *(SOURCE / "consumers").glob("*.py"),
        *(SOURCE / "serving").glob("*.py"),
    ]
    nodes = [
        node for path in paths for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    ]
    given = [
        node.args[0]
        for node in nodes
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in {"InvalidInputError", "ErrorBody"}
    ]
    # Some functions check several fields, and are called with the code.
    passed_on = [
        node
        for node in nodes
        if isinstance(node, ast.Constant) and str(node.value).startswith("invalid_")
    ]
    return {
        node.value
        for node in [*given, *passed_on]
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    } - {"invalid_reply"}


def _fields(schema: dict[str, Any]) -> Iterator[str]:
    yield from schema.get("properties", ())
    for part in schema.get("allOf", ()):
        yield from _fields(part)


def _nodes(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a schema and all those inside it."""
    yield schema
    inside = [*schema.get("properties", {}).values(), *schema.get("allOf", ())]
    for each in [*inside, *([schema["items"]] if "items" in schema else [])]:
        yield from _nodes(each)


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def _follow(reference: str) -> Any:
    node: Any = ASYNCAPI
    for step in reference.removeprefix("#/").split("/"):
        node = node[step]
    return node


def _resolved(node: Any) -> Any:
    """Return the schema with every reference replaced by what it leads to."""
    if isinstance(node, dict):
        if "$ref" in node:
            return _resolved(_follow(node["$ref"]))
        return {key: _resolved(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_resolved(value) for value in node]
    return node
