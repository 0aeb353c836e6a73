"""A small endpoint that speaks the OpenAI API, for the clients that wrote tests/fixtures/tools.

    python tests/endpoint.py 8123     # then point a benchmark at http://127.0.0.1:8123

It answers with as many words as are asked for, one event each: the first after 30 ms, the others
4 ms apart, whatever the prompt. Standard library only; it listens on this machine alone.
"""

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FIRST_S, EACH_S, MODEL = 0.03, 0.004, "meta-llama/Llama-3.1-8B-Instruct"


class Endpoint(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Keep quiet."""

    def do_GET(self):
        """Say which model is served."""
        self._json(
            {"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "test"}]}
        )

    def do_POST(self):
        """Answer a prompt, in events where that is asked."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        chat = "messages" in asked
        text = asked["messages"] if chat else asked.get("prompt", "")
        given = len(text) if text and isinstance(text[0], int) else json.dumps(text).count(" ") + 1
        tokens = asked.get("max_completion_tokens") or asked.get("max_tokens") or 16
        usage = {"prompt_tokens": given, "completion_tokens": tokens}
        usage["total_tokens"] = given + tokens
        time.sleep(FIRST_S)
        if not asked.get("stream"):
            time.sleep(EACH_S * (tokens - 1))
            self._json({**self._part(chat, " word" * tokens, True), "usage": usage})
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for i in range(tokens):
            if i:
                time.sleep(EACH_S)
            self._event(json.dumps(self._part(chat, " word", False, i == tokens - 1)))
        last = {**self._part(chat, "", False), "choices": [], "usage": usage}
        self._event(json.dumps(last))
        self._event("[DONE]")
        self.wfile.write(b"0\r\n\r\n")

    def _part(self, chat, text, whole, ends=True):
        kind = "chat.completion" if chat else "text_completion"
        said = {"role": "assistant", "content": text}
        choice = {"message" if whole else "delta": said} if chat else {"text": text}
        choice |= {"index": 0, "finish_reason": "length" if ends else None}
        kind += ".chunk" * (chat and not whole)
        made = {"id": "one", "object": kind, "created": 0, "model": MODEL}
        return {**made, "choices": [choice]}

    def _event(self, text):
        line = f"data: {text}\n\n".encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
        self.wfile.flush()

    def _json(self, content):
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Endpoint).serve_forever()
