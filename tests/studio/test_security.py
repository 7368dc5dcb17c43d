"""No page of another origin reads or triggers anything; no name leads out of the folder."""

import http.client
import json

import pytest
from serving import Served, tune


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    one = Served(tmp_path_factory.mktemp("security") / "project")
    yield one
    one.close()


ROUTES = [
    ("GET", "/"),
    ("GET", "/api/status"),
    ("GET", "/api/models"),
    ("GET", "/api/trainings"),
    ("GET", "/api/intake?folder=/"),
    ("GET", "/api/pieces/any"),
    ("GET", "/api/pieces/any/export"),
    ("GET", "/api/jobs/any/events"),
    ("POST", "/api/compose"),
    ("POST", "/api/pieces"),
    ("POST", "/api/pieces/any/edit"),
    ("POST", "/api/trainings"),
    ("POST", "/api/model"),
    ("DELETE", "/api/pieces/any"),
    ("GET", "/nothing"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_without_the_token_there_is_no_answer(served, method, path):
    status, headers, body = served.raw(method, path, b"{}" if method == "POST" else None, token=False)
    assert status == 403
    assert "the address that melodygru studio printed" in json.loads(body)["error"]
    assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize("token", ["", "x", "ü".encode().decode("latin-1"), "0" * 43])
def test_a_wrong_token_is_none(served, token):
    status, _, _ = served.raw("GET", "/api/status", headers={"X-Melodygru-Token": token}, token=False)
    assert status == 403
    assert served.raw("GET", "/api/status?token=wrong", token=False)[0] == 403


def test_the_token_may_stand_in_the_address(served):
    assert served.raw("GET", f"/api/status?token={served.token}", token=False)[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://example.org"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1"},  # another port
        {"Origin": "http://127.0.0.1:1"},
        {"Host": "example.org"},  # a name that was pointed at 127.0.0.1
        {"Host": "127.0.0.1.example.org"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
@pytest.mark.parametrize(("method", "path"), [("GET", "/api/status"), ("POST", "/api/compose"), ("GET", "/")])
def test_another_origin_is_refused_even_with_the_token(served, method, path, headers):
    status, answered, _ = served.raw(method, path, b"{}" if method == "POST" else None, headers)
    assert status == 403
    assert not any(name.startswith("access-control") for name in answered)
    assert not served.server.studio.jobs._jobs


def test_the_page_itself_may_ask(served):
    origin = {"Origin": f"http://127.0.0.1:{served.server.port}", "Sec-Fetch-Site": "same-origin"}
    assert served.raw("GET", "/api/status", headers=origin)[0] == 200


def test_a_preflight_allows_nothing(served):
    headers = {"Origin": "https://example.org", "Access-Control-Request-Method": "POST"}
    status, answered, _ = served.raw("OPTIONS", "/api/compose", headers=headers, token=False)
    assert status == 403 and not any(name.startswith("access-control") for name in answered)


@pytest.mark.parametrize("path", ["/api/status", "/static/store.js", "/nothing", "/"])
def test_every_answer_is_for_the_page_alone(served, path):
    _, headers, _ = served.raw("GET", path)
    assert headers["content-security-policy"].startswith("default-src 'self';")
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    "path",
    [
        "/static/../studio.py",
        "/static/..%2fstudio.py",
        "/static/%2e%2e/app.py",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/..%5capp.py",
        "/static/C:%5cboot.ini",
        "/static/.hidden.js",
        "/static/panels",
        "/static/nothing.js",
        "/static/%00.js",
    ],
)
def test_no_name_of_a_file_leads_elsewhere(served, path):
    status, _, body = served.raw("GET", path)
    assert status in (404, 308) and b"import" not in body and b"root:" not in body


@pytest.mark.parametrize("id", ["..", "%2e%2e", "..%2f..%2fetc", "a/../../b", "settings", "TUNE", "%00", "x" * 5000])
def test_no_id_leads_elsewhere(served, id):
    for method, path in (
        ("GET", f"/api/pieces/{id}"),
        ("DELETE", f"/api/pieces/{id}"),
        ("POST", f"/api/pieces/{id}/copy"),
    ):
        assert served.raw(method, path, b"{}" if method == "POST" else None)[0] in (404, 405, 308)
    assert sorted(path.name for path in served.project.folder.iterdir()) == [
        *(".address", ".lock", "history", "pieces", "trainings", "trash")
    ]


def test_names_of_uploads_are_only_names(served):
    piece = served.bring(tune(), "../../../etc/evil name.mid")
    assert (piece["id"], piece["name"]) == ("evil-name", "evil name")
    assert (served.project.folder / "pieces" / "evil-name.mid").is_file()
    served.raw("DELETE", f"/api/pieces/{piece['id']}", b"{}")


def test_only_this_machine_is_listened_to(served):
    assert served.server._server.server_address[0] == "127.0.0.1"


def test_the_address_is_for_its_user_alone(served):
    mode = (served.project.folder / ".address").stat().st_mode
    assert mode & 0o077 == 0


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"1", b"\xff\xfe", b'{"revision": NaN}', b"[" * 100_000])
def test_what_is_no_object_is_refused_in_a_sentence(served, body):
    status, _, answer = served.raw("POST", "/api/settings", body, {"Content-Type": "application/json"})
    assert status == 400 and "reload the page" in json.loads(answer)["error"]


def test_too_large_a_request_is_refused_before_it_is_read(served):
    connection = http.client.HTTPConnection("127.0.0.1", served.server.port, timeout=60)
    connection.putrequest("POST", "/api/pieces")
    connection.putheader("X-Melodygru-Token", served.token)
    connection.putheader("Content-Type", "multipart/form-data; boundary=x")
    connection.putheader("Content-Length", str(1 << 40))
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status == 413
    assert "at most 4 MiB" in json.loads(answer.read())["error"]
