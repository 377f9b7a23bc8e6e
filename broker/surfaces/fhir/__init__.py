"""`/fhir`: FHIR R4 for an EHR's own library. The same lookup as `POST /lookups`, in another form.

    routes        which address is whose
    metadata      what can be asked? (CapabilityStatement)
    search, read  one question, one lookup
    batch         many questions, one lookup
    operations    what is not here, said in words

    parameters    how are the parameters of a search read?
    bodies        how are forms and Bundles read?
    asking        what is asked, whose id is it, and what must a lookup ask for it?
    found         what did one lookup give, arranged by type?
    answers       what is the answer to one question, from what one lookup found? (the only place where that is decided)
    pages         where does the next page begin, and is it still the same answer?
    outcome       what is said of rows and errors? (OperationOutcome)
    bundle        how do encoded resources become a Bundle?

Nothing is imported here, so that `broker.surfaces.errors` can use `outcome`, and all the others can use that.
"""
