//! The bus: log-ins and commands that come as messages of a STOMP broker.
//! It must not decide who somebody is nor what they may; it checks what messages prove.
//!
//! A message comes in by [`serve()`], becomes a [`Message`], and is judged by [`Bus`], which knows no
//! connection. What is recorded is answered, and what is answered is acknowledged, in this order;
//! so the node may be killed at any moment, and the broker delivers again what was not finished.

mod bus;
pub mod caller;
pub mod claims;
mod command;
mod conflict;
mod holders;
pub mod key;
pub mod key_file;
mod login;
mod message;
mod refusal;
pub mod seal;
mod serve;
pub mod token;
pub mod vault;

pub use bus::{Bus, Keys, Options};
pub use holders::KEPT;
pub use login::{PLAIN, SEALED};
pub use message::{Body, Done, MAX_BODY, Message, Reply};
pub use serve::serve;
