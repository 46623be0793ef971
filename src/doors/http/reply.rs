//! Replies: answers and refusals as HTTP, each code mapped to its status once.
//! It must not add anything to what it is told to say.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use serde::Serialize;
use serde_json::{Value, json};

use super::guard::Id;
use crate::{
    control::answer::Answer,
    model::error::{Code, CommandError},
};

/// Why the door itself turned a request away.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    error: CommandError,
    close: bool,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: Code, message: impl Into<String>) -> Self {
        Self {
            status,
            error: CommandError::new(code, message),
            close: false,
        }
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Code::Invalid, message)
    }

    /// Nobody whom we know.
    pub(super) fn nobody() -> Self {
        let message = "no login, or one that has ended";
        Self::new(StatusCode::UNAUTHORIZED, Code::Denied, message)
    }

    /// Hangs up after the reply: what is left of the request is not read.
    pub(super) fn and_close(self) -> Self {
        Self {
            close: true,
            ..self
        }
    }

    /// It in the shape of every answer. The door knows no revision, and says 0.
    pub(super) fn reply(self, id: &Id) -> Response {
        let answer = Answer::refused(id.0.clone(), 0, self.error);
        let mut response = json_reply(self.status, &answer);
        if self.close {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        response
    }
}

/// The control task's answer. Where a login would help (`nobody` has one), a denial is a 401.
pub(super) fn answer(answer: &Answer, nobody: bool) -> Response {
    let status = match answer.error.as_ref().map(|error| error.code) {
        None => StatusCode::OK,
        Some(Code::Denied) if nobody => StatusCode::UNAUTHORIZED,
        Some(code) => status(code),
    };
    json_reply(status, answer)
}

/// The status of a code.
pub(super) fn status(code: Code) -> StatusCode {
    match code {
        Code::Denied => StatusCode::FORBIDDEN,
        Code::Invalid => StatusCode::BAD_REQUEST,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::Conflict => StatusCode::CONFLICT,
        Code::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// It was done, with `data` where there is any.
pub(super) fn done(id: &Id, data: Option<Value>) -> Response {
    let mut body = json!({ "id": id.0, "ok": true });
    if let (Some(data), Some(object)) = (data, body.as_object_mut()) {
        object.insert("data".to_owned(), data);
    }
    json_reply(StatusCode::OK, &body)
}

/// `body` as JSON.
pub(super) fn json_reply(status: StatusCode, body: &impl Serialize) -> Response {
    let (status, text) = match serde_json::to_vec(body) {
        Ok(text) => (status, text),
        Err(error) => {
            tracing::error!(%error, "a reply cannot be written as JSON");
            (StatusCode::INTERNAL_SERVER_ERROR, b"{\"ok\":false}".into())
        }
    };
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let json = HeaderValue::from_static("application/json");
    headers.insert(header::CONTENT_TYPE, json);
    if status == StatusCode::UNAUTHORIZED {
        let bearer = HeaderValue::from_static("Bearer");
        headers.insert(header::WWW_AUTHENTICATE, bearer);
    }
    response
}
