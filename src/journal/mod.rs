//! The journal: what was changed, asked and told, in SQLite, durably.
//! It must not know what any of it means.
