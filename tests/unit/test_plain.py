"""What is read in one go is what h11 would have read, and everything else is left to h11."""

import h11
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from syncengine.destinations._plain import LARGEST, PlainHead, plain_head

BODY = b'{"result":true}'


def by_h11(came: bytes) -> tuple[int, bytes, dict[bytes, bytes]]:
    """Status, body, headers. Raises h11.RemoteProtocolError; ValueError where the answer is not whole, or goes on."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="POST", target="/", headers=[("host", "x")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(came)
    body, response = b"", None
    while True:
        match connection.next_event():
            case h11.Response() as response:
                pass
            case h11.Data(data=data):
                body += data
            case h11.EndOfMessage() if response is not None and not connection.trailing_data[0]:
                return response.status_code, body, dict(response.headers)
            case event:
                raise ValueError(f"{event!r}")


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n",
        b"HTTP/1.1 200\r\ncontent-length:15\r\nServer: nginx\r\nConnection: Keep-Alive\r\n\r\n",
        b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7 \r\nDate: today\r\nCONTENT-LENGTH:\t15\r\n\r\n",
        b"HTTP/1.1 500 \xd1\xe1\xee\xe9\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\nContent-Length: 15\r\n\r\n",
    ],
)
def test_a_head_of_the_usual_form_tells_what_h11_reads(head: bytes) -> None:
    plain = plain_head(head + BODY)

    status, body, headers = by_h11(head + BODY)
    assert plain == PlainHead(
        status, len(head), len(head) + len(body), headers.get(b"retry-after"), headers.get(b"date")
    )


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.0 200 OK\r\nContent-Length: 15\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 600 Odd\r\nContent-Length: 15\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 15\n\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\nContent-Length: 15\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: +15\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 15, 15\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (LARGEST + 1),
        b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\nContent-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\nRetry-After: 1\r\nRetry-After: 9\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length : 15\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\nX: a\x00b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\nX: a\rb\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\nno header\r\n\r\n",
        b"220 mail.example.com ESMTP\r\n\r\n",
    ],
)
def test_whatever_is_unusual_is_left_to_h11(head: bytes) -> None:
    assert plain_head(head + BODY) is None


LINES = st.sampled_from(
    [
        b"Content-Length: 15",
        b"content-length:  15\t",
        b"Content-Length: 14",
        b"Content-Length: 1_5",
        b"Transfer-Encoding: chunked",
        b"Connection: keep-alive",
        b"Connection: close",
        b"Content-Encoding: identity",
        b"Content-Encoding: gzip",
        b"Retry-After: 7",
        b"X: \xff\x80",
        b"X:\x0b",
        b": no name",
        b"",
        b" folded",
    ]
)


@settings(deadline=None, max_examples=300)
@given(
    st.sampled_from([b"HTTP/1.1 200 OK", b"HTTP/1.1 404", b"HTTP/1.1 204 No", b"HTTP/1.0 200 OK", b"HTTP/1.1  200"]),
    st.lists(LINES | st.binary(max_size=12), max_size=5),
    st.sampled_from([b"\r\n", b"\n"]),
)
@example(b"HTTP/1.1 200 OK", [b"Content-Length: 15"], b"\r\n")
def test_no_answer_is_read_otherwise_than_h11_reads_it(start: bytes, lines: list[bytes], end: bytes) -> None:
    came = end.join([start, *lines, b"", BODY])
    plain = plain_head(came)
    if plain is None or plain.end != len(came):
        return

    status, body, headers = by_h11(came)

    assert (plain.status, came[plain.start : plain.end]) == (status, body)
    assert (plain.retry_after, plain.date) == (headers.get(b"retry-after"), headers.get(b"date"))
