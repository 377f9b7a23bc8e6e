"""`python -m broker.demo.world`: the world alone, until standard input closes."""

from broker.demo.world.process import main

main()
