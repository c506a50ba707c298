from __future__ import annotations

import json
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from likewise.errors import SettingsError
from likewise.settings import IndexerSettings, KafkaSettings, RedisSettings, Secret, Settings
from likewise.settings.environment import is_service_link
from likewise.settings.loader import (
    environment_of,
    load_settings,
    setting_names,
    text_of,
    unknown_variables,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

HIDDEN = "hunter2-in-plain-sight"


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def from_environ(**variables: str) -> Settings:
    return load_settings(environ=variables)


def sentence_of(environ: Mapping[str, str], **sources: object) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(environ=environ, **sources)  # type: ignore[arg-type] # file or options
    return str(caught.value)


# Sources and their order


def test_without_any_source_the_defaults_hold() -> None:
    assert load_settings(environ={}) == Settings()


def test_variables_become_the_types_of_their_settings() -> None:
    settings = from_environ(
        LIKEWISE_KAFKA_PARTITIONS="12",
        LIKEWISE_KAFKA_CREATE_TOPICS="false",
        LIKEWISE_REDIS_TIMEOUT_S="2.5",
        LIKEWISE_REDIS_KEY_PREFIX="a:",
        LIKEWISE_KAFKA_SSL_CAFILE="/etc/ca.pem",
        LIKEWISE_LOGGING_LEVEL="debug",
        LIKEWISE_REDIS_PASSWORD=HIDDEN,
    )
    assert settings.kafka.partitions == 12
    assert settings.kafka.create_topics is False
    assert settings.redis.timeout_s == 2.5
    assert settings.redis.key_prefix == "a:"
    assert settings.kafka.ssl_cafile == Path("/etc/ca.pem")
    assert settings.logging.level == "debug"
    assert isinstance(settings.redis.password, Secret)
    assert settings.redis.password.reveal() == HIDDEN


def test_other_variables_of_the_environment_are_left_alone() -> None:
    assert from_environ(PATH="/bin", KAFKA_PARTITIONS="x", LIKEWISE_TEST_SERVERS="") == Settings()


def test_a_file_sets_what_it_names(tmp_path: Path) -> None:
    file = tmp_path / "any.toml"
    file.write_text('[redis]\nkey_prefix = "a:"\n[serving]\nmax_batch = 7\n', encoding="utf-8")
    settings = load_settings(file=file, environ={})
    assert (settings.redis.key_prefix, settings.serving.max_batch) == ("a:", 7)
    assert settings.kafka == KafkaSettings()


def test_a_file_in_the_working_directory_is_found_by_itself(tmp_path: Path) -> None:
    (tmp_path / "likewise.toml").write_text("[serving]\nmax_batch = 7\n", encoding="utf-8")
    assert load_settings(environ={}).serving.max_batch == 7


def test_a_variable_may_name_the_file_and_an_argument_goes_before_it(tmp_path: Path) -> None:
    for name, batch in (("named", 7), ("given", 8)):
        (tmp_path / name).write_text(f"[serving]\nmax_batch = {batch}\n", encoding="utf-8")
    environ = {"LIKEWISE_CONFIG": str(tmp_path / "named")}
    assert load_settings(environ=environ).serving.max_batch == 7
    assert load_settings(environ=environ, file=tmp_path / "given").serving.max_batch == 8


def test_options_go_before_the_environment_and_that_before_the_file(tmp_path: Path) -> None:
    file = tmp_path / "likewise.toml"
    file.write_text(
        '[redis]\nkey_prefix = "file"\nurl = "redis://file"\n[serving]\nmax_batch = 1\n',
        encoding="utf-8",
    )
    settings = load_settings(
        environ={"LIKEWISE_REDIS_KEY_PREFIX": "environ", "LIKEWISE_REDIS_URL": "redis://environ"},
        options={"redis.url": "redis://option", "serving.max_batch": None},
    )
    assert settings.redis.url == "redis://option"
    assert settings.redis.key_prefix == "environ"
    assert settings.serving.max_batch == 1


def test_an_option_may_be_text_or_of_its_own_type() -> None:
    for partitions in (3, "3"):
        settings = load_settings(environ={}, options={"kafka.partitions": partitions})
        assert settings.kafka.partitions == 3


def test_every_setting_can_be_set_by_a_variable_of_its_name() -> None:
    for table, name in setting_names():
        default = getattr(getattr(Settings(), table), name)
        if default not in (None, ""):
            variable = f"LIKEWISE_{table}_{name}".upper()
            assert load_settings(environ={variable: text_of(default)}) == Settings()


def test_a_list_is_text_between_commas_in_a_variable_and_an_array_in_a_file(tmp_path: Path) -> None:
    expected = ("spectral", "neighbours")
    environ = {"LIKEWISE_INDEXER_ALTERNATIVES": " spectral, neighbours,"}
    assert load_settings(environ=environ).indexer.alternatives == expected
    file = tmp_path / "likewise.toml"
    file.write_text('[indexer]\nalternatives = ["spectral", "neighbours"]\n')
    assert load_settings(file=file, environ={}).indexer.alternatives == expected


# Mistakes


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("LIKEWISE_KAFKA_PARTITIONS", "many", ["'many'", "int"]),
        ("LIKEWISE_KAFKA_PARTITIONS", "0", ["'0'", ">= 1"]),
        ("LIKEWISE_KAFKA_PARTITIONS", "", ["''", "int"]),
        ("LIKEWISE_INDEXER_CHANGED_SHARE", "1.5", ["'1.5'", "<= 1"]),
        ("LIKEWISE_REDIS_TIMEOUT_S", "0", ["'0'", "> 0"]),
        ("LIKEWISE_REDIS_TIMEOUT_S", "-1", ["'-1'", "> 0"]),
        ("LIKEWISE_MONITORING_PORT", "70000", ["'70000'", "<= 65535"]),
        ("LIKEWISE_LOGGING_LEVEL", "loud", ["'loud'"]),
        ("LIKEWISE_KAFKA_CREATE_TOPICS", "maybe", ["'maybe'", "bool"]),
        ("LIKEWISE_INDEXER_ALTERNATIVES", "spectral,als", ["'als'"]),
    ],
)
def test_a_mistake_in_a_variable_names_it_the_value_and_the_remedy(
    variable: str, value: str, words: list[str]
) -> None:
    sentence = sentence_of({variable: value})
    assert sentence.startswith(f"{variable}:")
    for word in words:
        assert word in sentence


MISSPELT = [
    ("LIKEWISE_KAFKA_PARTITION", "did you mean LIKEWISE_KAFKA_PARTITIONS?"),
    ("LIKEWISE_KAFK_PARTITIONS", "did you mean LIKEWISE_KAFKA_PARTITIONS?"),
    ("LIKEWISE_REDIS_PASWORD_FILE", "did you mean LIKEWISE_REDIS_PASSWORD_FILE?"),
    ("LIKEWISE_REDIS_URL_FILE", "did you mean LIKEWISE_REDIS_URL?"),  # no secret
    ("LIKEWISE_kafka_partitions", "`likewise config` lists the settings"),
    ("LIKEWISE_", "`likewise config` lists the settings"),
]


@pytest.mark.parametrize(("variable", "remedy"), MISSPELT)
def test_a_misspelt_variable_is_told_with_the_nearest_name_and_changes_nothing(
    variable: str, remedy: str
) -> None:
    environ = {variable: "3", "LIKEWISE_KAFKA_TOPIC_PREFIX": "a."}
    assert load_settings(environ=environ).kafka == KafkaSettings(topic_prefix="a.")
    assert [str(one) for one in unknown_variables(environ)] == [
        f"{variable}: no such setting; {remedy}"
    ]


@pytest.mark.parametrize(("variable", "remedy"), MISSPELT)
def test_a_misspelt_variable_is_an_error_where_that_is_asked_for(
    variable: str, remedy: str
) -> None:
    assert remedy in sentence_of({variable: "3"}, strict=True)
    assert remedy in sentence_of({variable: "3", "LIKEWISE_STRICT_SETTINGS": "true"})


# What a pod sees beside Services named likewise, likewise-redis, likewise-server, likewise-monitoring
# and likewise-kafka (two named ports).
KUBERNETES = {
    "LIKEWISE_SERVICE_HOST": "10.96.0.10",
    "LIKEWISE_SERVICE_PORT": "80",
    "LIKEWISE_PORT": "tcp://10.96.0.10:80",
    "LIKEWISE_PORT_80_TCP": "tcp://10.96.0.10:80",
    "LIKEWISE_PORT_80_TCP_PROTO": "tcp",
    "LIKEWISE_PORT_80_TCP_PORT": "80",
    "LIKEWISE_PORT_80_TCP_ADDR": "10.96.0.10",
    "LIKEWISE_REDIS_SERVICE_HOST": "10.96.0.11",
    "LIKEWISE_REDIS_SERVICE_PORT": "6379",
    "LIKEWISE_REDIS_PORT_6379_TCP_ADDR": "10.96.0.11",
    "LIKEWISE_SERVER_PORT": "tcp://10.96.0.12:9100",
    "LIKEWISE_MONITORING_PORT": "tcp://[fd00::9]:9100",  # a setting's own name
    "LIKEWISE_KAFKA_SERVICE_PORT_PLAIN_TEXT": "9092",
    "LIKEWISE_KAFKA_PORT_9092_TCP": "tcp://10.96.0.13:9092",
    "LIKEWISE_KAFKA_PORT_53_UDP_PROTO": "udp",
}


def test_what_kubernetes_adds_for_services_is_not_ours() -> None:
    assert load_settings(environ=KUBERNETES, strict=True) == Settings()
    assert unknown_variables(KUBERNETES) == []


def test_no_setting_looks_like_what_kubernetes_adds() -> None:
    for table, name in setting_names():
        assert not is_service_link(f"LIKEWISE_{table}_{name}".upper(), "1")


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "NaN"])
def test_what_is_no_finite_number_of_seconds_is_refused(value: str) -> None:
    assert "LIKEWISE_REDIS_TIMEOUT_S" in sentence_of({"LIKEWISE_REDIS_TIMEOUT_S": value})


def test_a_mistake_in_an_option_names_it() -> None:
    sentence = sentence_of({}, options={"serving.max_batch": 0})
    assert sentence.startswith("option serving.max_batch:")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[redis]\nkey_prefix = 3\n", ["`key_prefix` in [redis]"]),
        ("[redis]\nzzz = 3\n", ["`zzz` in [redis]", "there are"]),
        ("[reddis]\nurl = 'x'\n", ["no table [reddis]", "[redis]"]),
        ("url = 'x'\n", ["no table [url]"]),
        ("[redis\n", ["not valid TOML"]),
        ("[kafka]\npartitions = [1]\n", ["`partitions` in [kafka]", "[1]"]),
    ],
)
def test_a_mistake_in_the_file_names_the_place(tmp_path: Path, text: str, words: list[str]) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(text, encoding="utf-8")
    sentence = sentence_of({}, file=file)
    for word in words:
        assert word in sentence


def test_a_file_that_is_not_there_or_no_text_is_named(tmp_path: Path) -> None:
    assert "gone.toml can't be read: No such file" in sentence_of({}, file=tmp_path / "gone.toml")
    assert "gone.toml" in sentence_of({"LIKEWISE_CONFIG": str(tmp_path / "gone.toml")})
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    assert "binary.toml is not valid TOML" in sentence_of({}, file=tmp_path / "binary.toml")


# Secrets


def test_a_secret_shows_itself_only_when_told_to() -> None:
    secret = Secret(HIDDEN)
    for shown in (
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret:>40}",
        f"{secret!r}",
    ):
        assert HIDDEN not in shown
        assert "********" in shown
    assert secret.reveal() == HIDDEN
    assert type(secret.reveal()) is str
    assert secret == HIDDEN


def test_an_empty_secret_is_seen_to_be_empty() -> None:
    assert (repr(Secret("")), str(Secret(""))) == ("''", "")


def test_settings_can_be_printed_without_their_secrets() -> None:
    settings = from_environ(LIKEWISE_REDIS_PASSWORD=HIDDEN, LIKEWISE_KAFKA_SASL_PASSWORD=HIDDEN)
    assert HIDDEN not in repr(settings)
    assert HIDDEN not in str(settings)


def test_a_secret_can_stand_in_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "password").write_text(f"{HIDDEN}\n", encoding="utf-8")
    for environ, file in (
        ({"LIKEWISE_REDIS_PASSWORD_FILE": str(tmp_path / "password")}, None),
        ({}, tmp_path / "likewise.toml"),
    ):
        if file is not None:
            file.write_text(f'[redis]\npassword_file = "{tmp_path}/password"\n', encoding="utf-8")
        password = load_settings(environ=environ, file=file).redis.password
        assert password is not None
        assert password.reveal() == HIDDEN


def test_a_secret_file_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    sentence = sentence_of({"LIKEWISE_REDIS_PASSWORD_FILE": str(tmp_path / "gone")})
    assert sentence.startswith("LIKEWISE_REDIS_PASSWORD_FILE:")
    assert "gone" in sentence


def test_only_secrets_can_stand_in_files(tmp_path: Path) -> None:
    file = tmp_path / "likewise.toml"
    file.write_text("[redis]\nurl_file = 'x'\n", encoding="utf-8")
    assert "no such setting" in sentence_of({}, file=file)


def test_a_secret_of_the_wrong_type_is_not_told(tmp_path: Path) -> None:
    file = tmp_path / "likewise.toml"
    file.write_text(f'[redis]\npassword = ["{HIDDEN}"]\n', encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load_settings(file=file, environ={})
    assert "`password` in [redis]" in str(caught.value)
    assert HIDDEN not in "".join(traceback.format_exception(caught.value))


# Between processes


def test_settings_survive_the_way_through_an_environment() -> None:
    settings = Settings(
        kafka=KafkaSettings(partitions=3, create_topics=False, ssl_cafile=Path("/ca.pem")),
        redis=RedisSettings(key_prefix="a:", password=Secret(HIDDEN), timeout_s=1.5),
        indexer=IndexerSettings(alternatives=("spectral", "neighbours")),
    )
    variables = environment_of(settings)
    assert load_settings(environ=variables) == settings
    assert set(variables) == {
        "LIKEWISE_KAFKA_PARTITIONS",
        "LIKEWISE_KAFKA_CREATE_TOPICS",
        "LIKEWISE_KAFKA_SSL_CAFILE",
        "LIKEWISE_REDIS_KEY_PREFIX",
        "LIKEWISE_REDIS_PASSWORD",
        "LIKEWISE_REDIS_TIMEOUT_S",
        "LIKEWISE_INDEXER_ALTERNATIVES",
    }


def test_the_environment_of_the_process_is_read_when_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LIKEWISE_SERVING_MAX_BATCH", "7")
    assert load_settings().serving.max_batch == 7


names = st.sampled_from([f"LIKEWISE_{table}_{name}".upper() for table, name in setting_names()])
# As in a real environment: no NUL, and bytes that are no UTF-8 come as lone surrogates.
texts = st.text(st.characters(exclude_characters="\0"), max_size=20) | st.sampled_from(
    ["0", "1", "-1", "1e400", "nan", "true", "auto", "PLAINTEXT", "null", "\udcff"]
)
any_names = names | st.text("ABCDEFGHIKLMNOPRSTVW_", max_size=20).map("LIKEWISE_{}".format)


@given(st.dictionaries(any_names.filter(lambda name: name != "LIKEWISE_CONFIG"), texts, max_size=4))
def test_any_environment_gives_settings_or_a_settings_error(environ: dict[str, str]) -> None:
    try:
        settings = load_settings(environ=environ)
    except SettingsError as error:
        assert any(str(error).startswith(f"{name}:") for name in environ)  # noqa: PT017 - either is right
    else:
        assert isinstance(settings, Settings)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_file_gives_settings_or_a_settings_error(content: bytes) -> None:
    file = Path("any.toml")
    file.write_bytes(content)
    try:
        settings = load_settings(file=file, environ={})
    except SettingsError:
        return
    assert isinstance(settings, Settings)


scalars = st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10)
tables = st.sampled_from(sorted({table for table, _ in setting_names()}))
table_entries = st.dictionaries(
    st.sampled_from([name for _, name in setting_names()]), scalars | st.lists(scalars, max_size=2)
)


@given(st.dictionaries(tables, table_entries, max_size=3))
def test_any_values_in_a_file_give_settings_or_an_error_that_names_the_place(
    content: dict[str, dict[str, object]],
) -> None:
    file = Path("values.toml")
    file.write_text(as_toml(content), encoding="utf-8")
    try:
        settings = load_settings(file=file, environ={})
    except SettingsError as error:
        named = [name for values in content.values() for name in values]
        assert any(f"`{name}` in [" in str(error) for name in named)  # noqa: PT017 - either is right
    else:
        assert isinstance(settings, Settings)


def as_toml(content: dict[str, dict[str, object]]) -> str:
    """Write tables of scalars and lists as TOML, of which JSON is nearly a part."""
    lines = []
    for table, values in content.items():
        lines.append(f"[{table}]")
        # As it stands JSON is TOML, but for DEL in a string and the name of infinity.
        for name, value in values.items():
            text = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
            lines.append(f"{name} = {text.replace('Infinity', 'inf')}")
    return "\n".join(lines)
