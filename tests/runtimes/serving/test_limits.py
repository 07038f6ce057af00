"""What a server refuses, and that nothing grows: queue, bodies, time, tokens, others' faults."""

import contextlib
import json
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from served import Answer, Asker, in_thread, until

from runtimes.errors import UsageError
from runtimes.serving.settings import ServerSettings


def asked(pool: ThreadPoolExecutor, asker: Asker, inputs: Any) -> "Future[Answer]":
    return pool.submit(asker.ask, "/predict", {"inputs": inputs})


def labels(answer: Answer) -> list[str]:
    assert answer.status == 200, answer.body
    return [each[0]["label"] for each in answer.json()]


def test_what_has_no_room_is_refused_and_what_was_accepted_is_answered(gated: Any) -> None:
    with in_thread(gated, queue=8, max_texts=4) as asker, ThreadPoolExecutor(8) as pool:
        gated.gate.clear()
        first = asked(pool, asker, ["a"])
        until(lambda: gated.calls)
        second, third = (asked(pool, asker, [name] * 3) for name in "bc")
        until(lambda: asker.metric("edgepress_queue_texts") == 7)
        refused = asker.ask("/predict", {"inputs": ["d", "e"]})
        assert refused.status == 429
        assert int(refused.headers["retry-after"]) >= 1
        assert "7 texts wait" in refused.json()["error"]
        fourth = asked(pool, asker, ["f"])  # there is room for one
        until(lambda: asker.metric("edgepress_queue_texts") == 8)
        assert asker.ask("/predict", {"inputs": "g"}).status == 429
        gated.gate.set()
        found = [labels(each.result()) for each in (first, second, third, fourth)]
        assert found == [["a"], ["b"] * 3, ["c"] * 3, ["f"]]
        assert asker.metric("edgepress_queue_texts") == 0
        assert asker.service.requests == 0
        assert asker.metric("edgepress_texts_total") == 8
        assert labels(asker.ask("/predict", {"inputs": "h"})) == ["h"]


def test_what_waits_goes_through_the_model_together(gated: Any) -> None:
    with in_thread(gated) as asker, ThreadPoolExecutor(8) as pool:
        gated.gate.clear()
        first = asked(pool, asker, "a")
        until(lambda: gated.calls)
        others = [asked(pool, asker, name) for name in "bcd"]
        until(lambda: asker.metric("edgepress_queue_texts") == 4)
        gated.gate.set()
        assert [labels(each.result()) for each in others] == [["b"], ["c"], ["d"]]
        first.result()
        assert [sorted(call) for call in gated.calls] == [["a"], ["b", "c", "d"]]


def test_other_parameters_are_asked_apart(gated: Any) -> None:
    with in_thread(gated) as asker, ThreadPoolExecutor(8) as pool:
        gated.gate.clear()
        first = asked(pool, asker, "a")
        until(lambda: gated.calls)
        body = {"inputs": "c", "parameters": {"top_k": 1}}
        others = [asked(pool, asker, "b"), pool.submit(asker.ask, "/predict", body)]
        until(lambda: asker.metric("edgepress_queue_texts") == 3)
        gated.gate.set()
        assert [labels(each.result()) for each in (first, *others)] == [["a"], ["b"], ["c"]]
        assert sorted(gated.calls) == [["a"], ["b"], ["c"]]


def test_a_text_waits_for_others_as_long_as_is_said(gated: Any) -> None:
    with (
        in_thread(gated, batch_size=3, batch_wait_ms=20_000) as asker,
        ThreadPoolExecutor(8) as pool,
    ):
        three = [asked(pool, asker, name) for name in "abc"]  # a full batch waits for nobody
        assert [labels(each.result(timeout=15)) for each in three] == [["a"], ["b"], ["c"]]
        assert [sorted(call) for call in gated.calls] == [["a", "b", "c"]]
    with in_thread(type(gated)(), batch_size=3, batch_wait_ms=50) as asker:
        assert labels(asker.ask("/predict", {"inputs": "d"})) == ["d"]


def test_the_fault_of_one_is_not_that_of_others(gated: Any) -> None:
    with in_thread(gated) as asker, ThreadPoolExecutor(8) as pool:
        gated.gate.clear()
        first = asked(pool, asker, "a")
        until(lambda: gated.calls)
        good, bad = asked(pool, asker, "b"), asked(pool, asker, "fail")
        until(lambda: asker.metric("edgepress_queue_texts") == 3)
        gated.gate.set()
        assert labels(first.result()) == ["a"]
        assert labels(good.result()) == ["b"]
        assert bad.result().status == 500
        assert "secret" not in asker.logged()
        line = next(json.loads(x) for x in asker.logged().splitlines() if "request failed" in x)
        assert line["error"] == "RuntimeError"
        assert any("conftest.py" in each for each in line["where"])


def test_who_waits_too_long_is_told_and_makes_room(gated: Any) -> None:
    with in_thread(gated, timeout_s=0.3, queue=2, max_texts=2) as asker:
        gated.gate.clear()
        late = asker.ask("/predict", {"inputs": "a"})
        assert late.status == 503
        assert "0.3 s" in late.json()["error"]
        assert asker.ask("/predict", {"inputs": "b"}).status == 503
        assert asker.ask("/predict", {"inputs": "c"}).status == 429  # the model is still busy
        gated.gate.set()
        until(lambda: asker.metric("edgepress_queue_texts") == 0)
        assert labels(asker.ask("/predict", {"inputs": "d"})) == ["d"]
        assert gated.calls == [["a"], ["d"]], "who had gone was not asked for"


def test_bodies_have_a_limit_also_where_they_do_not_say_their_size(gated: Any) -> None:
    with in_thread(gated, max_body_bytes=1000, timeout_s=1) as asker:
        large = asker.ask("/predict", b"x" * 2000)
        assert large.status == 413
        assert "1,000 bytes" in large.json()["error"]
        connection = asker.connect()
        connection.putrequest("POST", "/predict")
        connection.putheader("Transfer-Encoding", "chunked")
        connection.endheaders()
        connection.send(b"3e8\r\n" + b"x" * 1000 + b"\r\n")
        connection.send(b"3e8\r\n" + b"x" * 1000 + b"\r\n")
        assert connection.getresponse().status == 413
        connection.close()
        slow = asker.connect()  # says that a body comes, and sends none
        slow.putrequest("POST", "/predict")
        slow.putheader("Content-Length", "10")
        slow.endheaders()
        assert slow.getresponse().status == 503
        slow.close()


def test_headers_have_a_limit(gated: Any) -> None:
    with in_thread(gated) as asker:
        for header in (b"X-A: " + b"a" * 300_000, b"X-B: b\r\n" * 40_000):
            connection = asker.connect()
            connection.connect()
            with contextlib.suppress(OSError):  # it was closed while we sent
                for start in range(0, len(header), 5000):
                    connection.sock.sendall(
                        (b"" if start else b"GET /healthz HTTP/1.1\r\n")
                        + header[start : start + 5000]
                    )
            with contextlib.suppress(OSError):
                assert b" 400 " in connection.sock.recv(200)
            with contextlib.suppress(OSError):
                while connection.sock.recv(1000):
                    pass  # ends, as the server has closed it
            connection.close()
        many = {f"x_{place}": "a" * 1000 for place in range(30)}
        assert asker.ask("/predict", {"inputs": "b" * 200_000}, **many).status == 200


def test_texts_of_a_request_have_a_limit(gated: Any) -> None:
    with in_thread(gated, max_texts=2) as asker:
        answer = asker.ask("/predict", {"inputs": ["a"] * 3})
        assert answer.status == 422
        assert "2 texts" in answer.json()["error"]
        assert gated.calls == []


def test_a_token_is_asked_for(gated: Any) -> None:
    with in_thread(gated, token="open-sesame") as asker:
        body = {"inputs": "a"}
        assert asker.ask("/predict", body, Authorization="Bearer open-sesame").status == 200
        for wrong in ({}, {"Authorization": "Bearer open"}, {"Authorization": "Basic open-sesame"}):
            refused = asker.ask("/predict", body, **wrong)
            assert refused.status == 401
            assert refused.headers["www-authenticate"] == "Bearer"
            assert "sesame" not in refused.body.decode()
        assert asker.ask("/metrics").status == 401
        for path in ("/healthz", "/v2/health/live", "/v2/health/ready", "/docs", "/openapi.json"):
            assert asker.ask(path).status == 200
        assert "sesame" not in asker.logged()


def test_a_client_that_goes_harms_nobody(gated: Any) -> None:
    with in_thread(gated) as asker:
        for _ in range(20):
            connection = asker.connect()
            connection.putrequest("POST", "/predict")
            connection.putheader("Content-Length", "100")
            connection.endheaders()
            connection.send(b'{"inputs":')
            connection.close()
        assert labels(asker.ask("/predict", {"inputs": "b"})) == ["b"]
        until(lambda: asker.service.requests == 0)


def test_an_artifact_is_opened_anew_and_the_old_one_answers_what_it_was_asked(gated: Any) -> None:
    new = type(gated)("new ")
    with in_thread(gated) as asker, ThreadPoolExecutor(8) as pool:
        asker.service.open_model = lambda: new
        gated.gate.clear()
        waiting = asked(pool, asker, "a")
        until(lambda: gated.calls)
        reloaded(asker)
        assert not gated.closed
        later = asked(pool, asker, "b")
        gated.gate.set()
        assert labels(waiting.result()) == ["a"]
        assert labels(later.result()) == ["new b"]
        until(lambda: gated.closed)

        def broken() -> Any:
            raise UsageError("no such folder")

        asker.service.open_model = broken
        reloaded(asker)
        assert labels(asker.ask("/predict", {"inputs": "c"})) == ["new c"]
        assert "no such folder" in asker.logged()
        assert asker.metric("edgepress_reloads_total") == 2


def reloaded(asker: Asker) -> None:
    """Have the server open its artifact anew, as at SIGHUP, and wait for it."""
    import asyncio

    loop = asker.service._running._loop
    asyncio.run_coroutine_threadsafe(asker.service.reload(), loop).result(60)


def test_nothing_grows(gated: Any) -> None:
    import gc

    with in_thread(gated, log_requests=False) as asker, ThreadPoolExecutor(4) as pool:

        def rounds(count: int) -> int:
            list(pool.map(lambda i: asker.ask("/predict", {"inputs": f"{i}"}), range(count)))
            list(pool.map(lambda i: asker.ask("/predict", b"{"), range(count // 10)))
            gated.calls.clear()
            gc.collect()
            return len(gc.get_objects())

        rounds(200)
        before, threads = rounds(200), threading.active_count()
        assert rounds(600) < before + 300
        assert threading.active_count() <= threads


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"name": "a/b"}, "a/b"),
        ({"queue": 4, "max_texts": 5}, "always be refused"),
        ({"port": 70_000}, "65535"),
        ({"token": ""}, "empty"),
        ({"token": "ä"}, "ASCII"),
    ],
)
def test_settings_that_cannot_be_are_named(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        ServerSettings(**given)


def test_pages_and_the_description_agree_with_what_there_is(
    served: Callable[[str], Asker],
) -> None:
    for kind in ("text-classification", "multiple-choice", "sentence-embedding"):
        asker = served(kind)
        described = asker.ask("/openapi.json").json()
        assert described["openapi"].startswith("3.1")
        for path, methods in described["paths"].items():
            for method, operation in methods.items():
                body = None
                if method == "post":
                    body = operation["requestBody"]["content"]["application/json"]["example"]
                assert asker.ask(path, body).status == 200, path
        page = asker.ask("/docs")
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert "http" not in page.body.decode().replace("http://127.0.0.1", "")
