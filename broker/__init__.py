"""The service: a federated query broker for shared care records. `broker/README.md` is the architecture page."""
