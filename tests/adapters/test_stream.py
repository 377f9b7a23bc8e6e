"""Work that is streamed leaves nothing behind when its reader goes."""

import asyncio
import gc

from adapters.errors import SourceTimedOut
from adapters.fhir_r4.stream import stream


async def test_a_failure_that_its_reader_did_not_stay_for_is_not_logged_by_the_loop():
    heard = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: heard.append(context["message"]))

    async def work(give):
        give("a page")
        raise SourceTimedOut  # in the same step: the work has failed before the page is read

    items = stream(work)
    assert await anext(items) == "a page"
    await items.aclose()
    gc.collect()
    await asyncio.sleep(0)
    assert heard == []
