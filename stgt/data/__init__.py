"""Where clips come from: dataset cards, protocols, preparation and the torch dataset."""
