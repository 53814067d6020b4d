//! Prekeys, envelopes and their delivery, with the hub and a real database.
