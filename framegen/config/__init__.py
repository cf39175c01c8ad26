"""Every option: frozen dataclasses that check themselves, without torch, so that --help answers at once."""
