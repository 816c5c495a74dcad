"""Dataset cards: one TOML file per dataset, imported as ``stgt.cards``."""
