"""The demo world: ten organisations as real FHIR servers, thirteen patients, and the configuration to ask them."""

from broker.demo.world.files import write_world
from broker.demo.world.organisations import DOWN, ORGANISATIONS, SLOW
from broker.demo.world.process import World, open_world
from broker.demo.world.stories import MRS_OKAFOR, OBJECTIONS, STORIES

__all__ = ["DOWN", "MRS_OKAFOR", "OBJECTIONS", "ORGANISATIONS", "SLOW", "STORIES", "World", "open_world", "write_world"]
