"""Thirteen synthetic patients, written for the purpose; none of them is anybody."""

from typing import Final

from broker.demo.world.stories.everyday import EVERYDAY
from broker.demo.world.stories.guarded import GUARDED, OBJECTIONS
from broker.demo.world.stories.identity import IDENTITY
from broker.demo.world.stories.okafor import MRS_OKAFOR
from broker.demo.world.stories.support import SUPPORT
from broker.demo.world.story import Story

__all__ = ["MRS_OKAFOR", "OBJECTIONS", "STORIES"]

STORIES: Final[tuple[Story, ...]] = (MRS_OKAFOR, *GUARDED, *IDENTITY, *EVERYDAY, *SUPPORT)
