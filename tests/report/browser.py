"""Headless Chromium, spoken to through a pipe: what a page logs, what it asks of the network, what it looks like."""

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import time

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)


class Browser:
    """A browser that runs for as long as the block does; `visit` a page first.

    Attributes:
        messages: of the console, and violations of the page's own policy, as the browser words them.
        requests: addresses that the page asked for, itself included.
    """

    def __init__(self, folder):
        self.messages, self.requests = [], []
        self._folder = folder
        self._next = 0
        self._rest = b""
        self._events = []
        self._session = None

    def __enter__(self):
        down, self._in = os.pipe()
        self._out, up = os.pipe()
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]
        flags += ["--no-first-run", "--disable-background-networking", f"--user-data-dir={self._folder}"]
        # Chromium reads its orders from file descriptor 3 and answers on 4.
        script = f'exec 3<&{down} 4>&{up}; exec "$@"'
        command = ["bash", "-c", script, "bash", CHROMIUM, "--remote-debugging-pipe", *flags, "about:blank"]
        silent = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen(command, pass_fds=(down, up), **silent)
        os.close(down)
        os.close(up)
        targets = self._call("Target.getTargets", on_page=False)["targetInfos"]
        target = next(found["targetId"] for found in targets if found["type"] == "page")
        attached = self._call("Target.attachToTarget", {"targetId": target, "flatten": True}, on_page=False)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError, TimeoutError):
            self._call("Browser.close", on_page=False)
        self._process.kill()
        self._process.wait()
        os.close(self._in)
        os.close(self._out)

    def visit(self, path):
        """Load a page in a wide, light window, and wait until its plots are drawn."""
        self.messages.clear()
        self.requests.clear()
        self.resize(1280)
        self.prefer("light")
        self._call("Page.navigate", {"url": path.as_uri()})
        self.wait("document.readyState === 'complete' && document.documentElement.dataset.drawn")

    def resize(self, width):
        """Make the window this wide; below 500 it is a phone's."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        self._call("Emulation.setDeviceMetricsOverride", size)

    def prefer(self, scheme):
        """Let the reader prefer `light` or `dark`."""
        self._call("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})

    def wait(self, script):
        """Return what a script gives once that is something."""
        ends_s = time.monotonic() + 90
        while not (found := self.run(script)):
            assert time.monotonic() < ends_s, (script, self.messages)
            time.sleep(0.1)
        return found

    def run(self, script):
        """Return what a script gives, as JSON data."""
        done = self._call("Runtime.evaluate", {"expression": script, "returnByValue": True, "awaitPromise": True})
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def screenshot(self, path):
        """Write the whole page as a PNG file."""
        size = self._call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        shot = {"captureBeyondViewport": True, "clip": clip}
        path.write_bytes(base64.b64decode(self._call("Page.captureScreenshot", shot)["data"]))

    def pdf(self, path):
        """Print the page to a PDF file."""
        made = self._call("Page.printToPDF", {"preferCSSPageSize": True, "printBackground": False})
        path.write_bytes(base64.b64decode(made["data"]))

    def _call(self, method, params=None, *, on_page=True):
        self._next += 1
        order = {"id": self._next, "method": method, "params": params or {}}
        if on_page:
            order["sessionId"] = self._session
        os.write(self._in, json.dumps(order).encode() + b"\0")
        while True:
            said = self._read()
            if said.get("id") == self._next:
                assert "error" not in said, (method, said["error"])
                return said["result"]
            self._note(said.get("method", ""), said.get("params", {}))

    def _read(self, timeout_s=90):
        ends_s = time.monotonic() + timeout_s
        while b"\0" not in self._rest:
            left_s = ends_s - time.monotonic()
            if left_s <= 0 or not select.select([self._out], [], [], left_s)[0]:
                raise TimeoutError("the browser says nothing")
            part = os.read(self._out, 1 << 20)
            if not part:
                raise OSError("the browser is gone")
            self._rest += part
        line, _, self._rest = self._rest.partition(b"\0")
        return json.loads(line)

    def _note(self, method, params):
        if method == "Runtime.consoleAPICalled":
            words = " ".join(str(part.get("value", part.get("description"))) for part in params["args"])
            self.messages.append(f"{params['type']}: {words}")
        elif method == "Runtime.exceptionThrown":
            self.messages.append(f"exception: {params['exceptionDetails']}")
        elif method == "Log.entryAdded":
            self.messages.append(f"{params['entry']['level']}: {params['entry']['text']}")
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
