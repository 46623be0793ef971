//! Who somebody is: checks a name and a password, and remembers who is logged in.
//! It must not decide what they may change; the policy does.
