"""A caller that knows nothing of likewise but its HTTP API, with Python's own library.

    http_client.py BASE_URL KEY NAME

Likes an item of the group that `plain_client.py NAME` has published, and asks for recommendations that count this
like; exits 1 if they are not from that group, or if the gateway answers without a key.
"""

import json
import sys
import urllib.error
import urllib.request


def main(base_url: str, key: str, name: str) -> int:
    if (status := call(base_url, None, "GET", "/v1/status")[0]) != 401:
        return fail(f"without a key: {status}")
    status, liked = call(
        base_url, key, "PUT", f"/v1/users/{name}-http/likes/{name}-i0?wait=applied"
    )
    if status != 200:
        return fail(f"PUT: {status} {liked}")
    path = f"/v1/users/{name}-http/recommendations?count=3&after={liked['position']}"
    status, answer = call(base_url, key, "GET", path)
    items = {item["item_id"] for item in answer.get("items", ())}
    theirs = {f"{name}-i{number}" for number in range(1, 12)}
    if status != 200 or answer["source"] != "model" or not items or not items <= theirs:
        return fail(f"GET: {status} {answer}")
    with urllib.request.urlopen(base_url, timeout=10) as page:
        if b"<html" not in page.read():
            return fail("there is no page")
    print(f"{name}-http is recommended {items} over HTTP")
    return 0


def call(base_url: str, key: str | None, method: str, path: str) -> tuple[int, dict]:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    request = urllib.request.Request(base_url + path, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"{}")


def fail(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
