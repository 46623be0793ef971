//! Doors: bytes into commands, answers into bytes.
//! They must not decide anything.
