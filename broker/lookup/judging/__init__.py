"""What may leave of what one source gave? Each source is judged by itself.

judge                     the story of it, in order, and the row that it comes to
reading, weight           what came, decoded, with everything in it that judging needs
guard, whose, targets, compartment    is all of it about this patient?
screen, closure           what do exclusions, labels and the role keep out, with all that would show it?
release, hiding, pruning  how does it leave: new ids, its origin, nothing of what must not show
"""
