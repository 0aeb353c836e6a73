"""Serve the page: Voilà with warm kernels, a limit on them, and nothing else within reach.

    python -m gpuspec.app.serve --port=8866

Everything that Voilà takes may be given as well; docs/app.md says what protects what.
"""

import os
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import zmq
from jupyter_client.session import utcnow
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from tornado import web
from traitlets import Float, Int
from traitlets.config import Config
from voila.app import Voila
from voila.tornado.handler import TornadoVoilaHandler

from gpuspec.base.paths import NOTEBOOKS

HERE = Path(__file__).parent
KERNELS, WARM = 8, 2
IDLE_S, UNSEEN_S, EVERY_S = 900, 60, 15
MOST_MESSAGE_BYTES = 4 * 2**20
MOST_WAIT_S = 60
BUSY = """<!doctype html><html lang="en"><meta charset="utf-8"><title>gpuspec</title>
<meta http-equiv="refresh" content="20"><p>All places are taken; this page tries again by itself.
<p lang="zh">目前已满，页面会自动重试。"""


class Kernels(AsyncMappingKernelManager):
    """Kernels of visitors, so many at most; idle ones end, warm ones stay."""

    most = Int(KERNELS, config=True, help="Kernels at once, warm ones included.")
    unseen_s = Float(UNSEEN_S, config=True, help="Seconds after which one that nobody opened ends.")

    def warm(self) -> set[str]:
        """Return the ids of kernels that wait for a visitor."""
        pools: dict[str, list[Any]] = getattr(self, "_pools", {})
        done = [task for pool in pools.values() for task in pool if task.done()]
        return {t.result()["kernel_id"] for t in done if not t.cancelled() and not t.exception()}

    @property
    def full(self) -> bool:
        """Whether a visitor would find no kernel, and none may be started."""
        return not self.warm() and len(self) >= self.most

    async def start_kernel(self, **options: Any) -> str:  # type: ignore[override]
        """Start a kernel; one that is to be warm waits until there is a place for it."""
        import asyncio

        ahead = (options.get("env") or {}).get("VOILA_PREHEAT") == "True"
        while ahead and len(self) >= self.most:
            await asyncio.sleep(1)
        if len(self) >= self.most:
            raise web.HTTPError(503, "all places are taken")
        started: str = await super().start_kernel(**options)
        return started

    async def cull_kernel_if_idle(self, kernel_id: str) -> None:
        """End a kernel that nobody uses: idle for long, or taken by a page that was never open."""
        if kernel_id not in self._kernels or kernel_id in self.warm():
            return
        kernel = self._kernels[kernel_id]
        quiet = utcnow() - kernel.last_activity
        idle = kernel.execution_state == "idle"
        unseen = not self._kernel_connections.get(kernel_id, 0)
        most = self.unseen_s if unseen else self.cull_idle_timeout
        if idle and quiet > timedelta(seconds=most):
            self.log.info("Ending the idle kernel %s", kernel_id)
            await self.shutdown_kernel(kernel_id)


class Door(TornadoVoilaHandler):
    """The page, at one address; where no kernel is left it says so and tries again."""

    async def get(self, path: str | None = None) -> None:
        """Answer a visitor."""
        if path:
            raise web.HTTPError(404)
        if self.kernel_manager.full:
            self.set_status(503)
            self.set_header("Retry-After", "20")
            self.finish(BUSY)
            return
        await super().get(path)


class App(Voila):
    """Voilà with the page alone: no files, no tree, no log-in of its own."""

    def init_handlers(self) -> list[Any]:
        """Return the routes that the page needs."""
        kept = []
        for route in super().init_handlers():
            if "/voila/files/" in route[0]:
                continue
            door = route[1] is TornadoVoilaHandler
            kept.append((route[0], Door, *route[2:]) if door else route)
        return kept


def settings() -> Config:
    """Return what the server is told; a visitor can change none of it."""
    c = Config()
    c.Voila.ip, c.Voila.port, c.Voila.open_browser = "127.0.0.1", 8866, False
    c.Voila.tornado_settings = {
        "websocket_max_message_size": MOST_MESSAGE_BYTES,
        "headers": {
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "same-origin",
            "Content-Security-Policy": "frame-ancestors 'self'; object-src 'none'; base-uri 'self'",
        },
    }
    v = c.VoilaConfiguration
    v.template, v.theme, v.strip_sources, v.show_tracebacks = "gpuspec", "light", True, False
    v.allow_template_override = v.allow_theme_override = "NO"
    v.file_allowlist = []
    v.preheat_kernel, v.default_pool_size = True, WARM
    v.multi_kernel_manager_class = Kernels
    v.extension_allowlist = [
        "@jupyter-widgets/jupyterlab-manager",
        "@voila-dashboards/widgets-manager8",
    ]
    c.MappingKernelManager.cull_idle_timeout = IDLE_S
    c.MappingKernelManager.cull_interval = EVERY_S
    c.MappingKernelManager.cull_connected = True
    c.KernelManager.transport_encryption = "auto" if zmq.has("curve") else "disabled"
    c.VoilaExecutor.timeout = MOST_WAIT_S
    return c


def main(argv: list[str] | None = None) -> None:
    """Serve the page until the process is ended."""
    place = [str(HERE / "jupyter"), *filter(None, [os.environ.get("JUPYTER_PATH")])]
    os.environ["JUPYTER_PATH"] = os.pathsep.join(place)
    with tempfile.TemporaryDirectory(prefix="gpuspec-serve-") as folder:
        # Neither configuration nor start-up files of whoever serves change a kernel.
        os.environ |= {"JUPYTER_CONFIG_DIR": folder, "IPYTHONDIR": folder, "JUPYTER_NO_CONFIG": "1"}
        app = App(config=settings())
        app.initialize(
            [*(sys.argv[1:] if argv is None else argv), str(NOTEBOOKS / "app/app.ipynb")]
        )
        app.start()


if __name__ == "__main__":
    main()
