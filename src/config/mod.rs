//! The configuration file: read with every problem at once, and written.
//! It must not start or change anything; what is done with a configuration is decided elsewhere.

mod digest;
mod edit;
mod error;
mod file;
mod reader;
mod reading;
mod render;
#[cfg(test)]
mod samples;
mod settings;
mod stand_in;
mod store;
mod text;
mod tree;
mod wording;

pub use crate::files::MAX_BYTES;
pub use digest::{Digest, DigestError};
pub use edit::{EditError, edit};
pub use error::ConfigError;
pub use file::{Config, MAX_PROBLEMS, parse, read, state_dir_of};
pub use render::render;
pub use settings::{
    AdminDoor, Auth, Backend, Bus, Certificate, CommandLine, DnTemplate, Fallback, HttpDoor, Ldap,
    LdapFilter, LdapUrl, LoginDoor, Metrics, Nested, Node, PasswordHash, Prefix, Program, Radius,
    RadiusMethod, RadiusServer, RadiusTls, RadiusValue, RecheckWith, Retries, RoleAttribute, Rule,
    Secret, SecretError, Settings, Threads, User, UserName,
};
pub use store::{Prepared, Store, StoreError};
