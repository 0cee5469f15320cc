"""Pure decisions: no disk, no clock, no network, no orchestration."""
