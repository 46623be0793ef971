//! Which name servers are asked for host names, where that is not for the system to say.
//! It must not ask them.

use std::{env, io, net::SocketAddr};

use crate::discovery::dns::Resolver;

/// Servers to ask instead of those in `resolv.conf`: addresses with ports, with commas.
const VARIABLE: &str = "POINTSMAN_NAME_SERVERS";

/// Who is to be asked; `None`: whom the system says.
///
/// # Errors
/// When the variable cannot be read.
pub(super) fn resolver() -> io::Result<Option<Resolver>> {
    let Some(text) = env::var_os(VARIABLE).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let text = text.to_string_lossy();
    let servers = text.split(',').map(|server| server.trim().parse());
    let servers: Result<Vec<SocketAddr>, _> = servers.collect();
    let wrong = |_| {
        let message =
            format!("{VARIABLE} is {text:?}, not addresses like 127.0.0.1:53, with commas");
        io::Error::new(io::ErrorKind::InvalidInput, message)
    };
    Ok(Some(Resolver::asking(servers.map_err(wrong)?)))
}
