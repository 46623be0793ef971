//! Bodies: read in full, within a size and a time.
//! It must not hold more of one than its bound, whatever the peer announces or sends.

use std::time::Duration;

use axum::{body::Body, http::StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body as _, Bytes};

use super::{caller::Peer, reply::Refusal};
use crate::model::error::Code;

/// How long a body may take.
const WITHIN: Duration = Duration::from_secs(10);

/// The bytes of `body`, at most `bound`.
pub(super) async fn read(body: Body, bound: usize, peer: &Peer) -> Result<Bytes, Refusal> {
    let too_large = || {
        let message = format!("the body is larger than {bound} bytes");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, Code::Invalid, message).and_close()
    };
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > bound {
        return Err(too_large());
    }
    // Who is still sending may have to make room for somebody else.
    let _sending = peer.slot.sending();
    match tokio::time::timeout(WITHIN, Limited::new(body, bound).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Refusal::invalid("the body broke off").and_close()),
        Err(_) => {
            let message = format!("the body took longer than {} seconds", WITHIN.as_secs());
            Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, Code::Invalid, message).and_close())
        }
    }
}
