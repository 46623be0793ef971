//! Where hosts are, as others say: names that resolve to addresses.
//! It must not decide which hosts there are; that is the configuration.

pub mod dns;
