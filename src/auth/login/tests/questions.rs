//! Questions in return, and what comes of their answers.
//! It must not need a real directory, nor sleep.

use super::{
    directories::{asks, stage, valued},
    *,
};

#[tokio::test]
async fn a_question_goes_to_the_person_and_its_answer_to_whoever_asked() {
    let stage = stage("radius", asks);
    let (entered, effects) = stage.logins.log_in(&attempt("ada", "secret")).await;
    let Entered::Challenged(question) = entered.unwrap() else {
        panic!("nothing was asked");
    };
    assert!(effects.events.is_empty());
    assert_ne!(question.state.expose_secret(), "theirs");
    let mut answer = attempt("ada", "");
    answer.credentials.proof = Proof::Answer {
        state: question.state,
        otp: "123456".into(),
    };
    stage.directory.now_says(valued);
    let (login, _) = stage.enter(&answer).await;
    assert_eq!((login.by.as_str(), stage.directory.asked()), ("radius", 2));
    let (again, _) = stage.logins.log_in(&answer).await;
    assert_eq!(again.unwrap_err().error.code, Code::Denied);
    assert_eq!(stage.directory.asked(), 2, "nobody is asked about it");
}

#[tokio::test]
async fn a_question_that_was_not_asked_by_these_settings_is_none() {
    let stage = stage("radius", asks);
    let (entered, _) = stage.logins.log_in(&attempt("ada", "secret")).await;
    let Entered::Challenged(question) = entered.unwrap() else {
        panic!("nothing was asked");
    };
    let settings = Logins::prepare(options()).unwrap();
    let _ = stage.logins.take_in(settings);
    let mut answer = attempt("ada", "");
    answer.credentials.proof = Proof::Answer {
        state: question.state,
        otp: "adas-password".into(),
    };
    let (entered, _) = stage.logins.log_in(&answer).await;
    assert_eq!(entered.unwrap_err().error.code, Code::Denied);
}
