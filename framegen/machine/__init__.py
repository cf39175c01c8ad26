"""The ground floor: errors, files, progress, interrupts, devices."""
