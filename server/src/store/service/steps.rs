//! The steps of each request.
//!
//! A step runs on the thread for its kind of work and returns the next step:
//!
//! ```text
//! SignUp         look up -> hash -> create
//! CheckPassword  look up -> compare -> admit
//! ChangePassword look up -> compare and hash -> set
//! All others: a single step
//! ```

use letschat_protocol::dialogue::Secret;
use letschat_protocol::identity::PublicKey;
use letschat_protocol::username::Username;

use crate::hub::ConnectionId;
use crate::store::password::{HashError, Hasher};
use crate::store::{
    Account, Created, PasswordChange, Store, StoreAnswer, StoreError, StoreRequest, Unavailable,
    Verdict,
};

/// A step that needs the database.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum DatabaseJob {
    /// The first step of every request.
    Begin(StoreRequest),
    /// The last step of a sign-up.
    CreateAccount { connection: ConnectionId, username: Username, phc: String },
    /// The last step of a login with the right password, which was compared with `phc`. The
    /// operator may have reset it or banned the account meanwhile.
    Admit { connection: ConnectionId, username: Username, phc: String, key: Option<PublicKey> },
    /// The last step of a password change.
    SetPassword {
        connection: ConnectionId,
        username: Username,
        old: String,
        new: String,
        key: Option<PublicKey>,
    },
}

/// A step that takes tens of milliseconds of processor time.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum HashingJob {
    /// A new password for a free name.
    Hash { connection: ConnectionId, username: Username, password: Secret },
    /// A login's password and the account, if it exists.
    Compare {
        connection: ConnectionId,
        password: Secret,
        account: Option<(Username, Account)>,
        key: Option<PublicKey>,
    },
    /// The present password and, if it is right, the new one.
    Replace { change: Box<PasswordChange>, account: Option<Account> },
}

/// The result of a step.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Database(DatabaseJob),
    Hashing(HashingJob),
    Answer(StoreAnswer),
    /// The request needs no answer.
    Done,
}

/// The reason why a step failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum StepError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Hash(#[from] HashError),
    #[error("a panic, whose message went to standard error")]
    Panic,
}

impl DatabaseJob {
    pub(super) fn run(self, store: &mut dyn Store, wall_ms: u64) -> Result<Step, StepError> {
        Ok(match self {
            DatabaseJob::Begin(request) => begin(request, store, wall_ms)?,
            DatabaseJob::CreateAccount { connection, username, phc } => {
                signed_up(connection, store.create_account(&username, &phc, wall_ms)?)
            }
            DatabaseJob::Admit { connection, username, phc, key } => {
                checked(connection, store.admit(&username, &phc, key.as_ref(), wall_ms)?)
            }
            DatabaseJob::SetPassword { connection, username, old, new, key } => {
                let verdict = store.replace_password(&username, &old, &new, key.as_ref())?;
                changed(connection, username, verdict)
            }
        })
    }

    /// Returns the answer to give if this step fails.
    pub(super) fn unavailable(&self) -> Option<StoreAnswer> {
        match self {
            DatabaseJob::Begin(request) => unavailable(request),
            DatabaseJob::CreateAccount { connection, .. } => Some(sign_up_unavailable(*connection)),
            DatabaseJob::Admit { connection, .. } => Some(check_unavailable(*connection)),
            DatabaseJob::SetPassword { connection, username, .. } => {
                let (connection, username) = (*connection, username.clone());
                Some(StoreAnswer::PasswordInDoubt { connection, username })
            }
        }
    }

    /// Names the step for the operator's log.
    pub(super) fn what(&self) -> &'static str {
        match self {
            DatabaseJob::Begin(StoreRequest::SignUp { .. }) => "looking up a new name",
            DatabaseJob::Begin(StoreRequest::CheckPassword { .. }) => "looking up an account",
            DatabaseJob::Begin(StoreRequest::CheckKey { .. }) => "looking up a key",
            DatabaseJob::Begin(StoreRequest::ChangePassword(_)) => "looking up an account",
            DatabaseJob::Begin(StoreRequest::Append { .. }) => "committing broadcasts",
            DatabaseJob::Begin(StoreRequest::Forget { .. }) => "forgetting broadcasts",
            DatabaseJob::Begin(StoreRequest::Mail(request)) => request.what(),
            DatabaseJob::Begin(StoreRequest::Cluster(request)) => request.what(),
            DatabaseJob::CreateAccount { .. } => "creating an account",
            DatabaseJob::Admit { .. } => "admitting an account",
            DatabaseJob::SetPassword { .. } => "setting a password",
        }
    }
}

fn begin(request: StoreRequest, store: &mut dyn Store, wall_ms: u64) -> Result<Step, StoreError> {
    Ok(match request {
        StoreRequest::SignUp { connection, username, password } => {
            match store.account(&username)? {
                Some(_) => signed_up(connection, Created::Taken),
                None => Step::Hashing(HashingJob::Hash { connection, username, password }),
            }
        }
        StoreRequest::CheckPassword { connection, username, password, key } => {
            // An invalid name is not looked up. This leaks nothing, since the client can tell that
            // it is invalid.
            let account = match username {
                Some(username) => store.account(&username)?.map(|account| (username, account)),
                None => None,
            };
            Step::Hashing(HashingJob::Compare { connection, password, account, key })
        }
        StoreRequest::CheckKey { connection, username, key, claim: false } => {
            checked(connection, store.check_key(&username, &key, wall_ms)?)
        }
        StoreRequest::CheckKey { connection, username, key, claim: true } => {
            checked(connection, store.claim_name(&username, &key, wall_ms)?)
        }
        StoreRequest::ChangePassword(change) => {
            let account = store.account(&change.username)?;
            Step::Hashing(HashingJob::Replace { change, account })
        }
        StoreRequest::Append { after, broadcasts } => {
            let first = store.append(after, &broadcasts)?;
            Step::Answer(StoreAnswer::Appended { result: Ok(first) })
        }
        StoreRequest::Forget { through } => {
            store.forget(through)?;
            Step::Done
        }
        StoreRequest::Mail(request) => Step::Answer(StoreAnswer::Mail(request.run(store)?)),
        StoreRequest::Cluster(request) => match store.cluster() {
            Some(cluster) => Step::Answer(StoreAnswer::Cluster(request.run(cluster)?)),
            // The hub of a server without a cluster asks nothing.
            None => Step::Answer(StoreAnswer::Cluster(request.unavailable())),
        },
    })
}

impl HashingJob {
    pub(super) fn run(self, hasher: &mut Hasher) -> Result<Step, StepError> {
        Ok(match self {
            HashingJob::Hash { connection, username, password } => {
                let phc = hasher.hash(&password.0)?;
                Step::Database(DatabaseJob::CreateAccount { connection, username, phc })
            }
            HashingJob::Compare { connection, password, account, key } => {
                let named = account.as_ref().map(|(username, account)| (username, account));
                let right = is_right(hasher, &password, named)?;
                match account {
                    Some((_, account)) if right && account.banned => {
                        checked(connection, Verdict::Banned)
                    }
                    Some((username, Account { phc, .. })) if right => {
                        Step::Database(DatabaseJob::Admit { connection, username, phc, key })
                    }
                    _ => checked(connection, Verdict::Refused),
                }
            }
            HashingJob::Replace { change, account } => {
                let PasswordChange { connection, username, password, new, key } = *change;
                let named = account.as_ref().map(|account| (&username, account));
                let right = is_right(hasher, &password, named)?;
                match account {
                    Some(account) if right && account.banned => {
                        changed(connection, username, Verdict::Banned)
                    }
                    Some(Account { phc: old, .. }) if right => {
                        let new = hasher.hash(&new.0)?;
                        let job = DatabaseJob::SetPassword { connection, username, old, new, key };
                        Step::Database(job)
                    }
                    _ => changed(connection, username, Verdict::Refused),
                }
            }
        })
    }

    /// Returns the connection that asked.
    pub(super) fn connection(&self) -> ConnectionId {
        match self {
            HashingJob::Hash { connection, .. } | HashingJob::Compare { connection, .. } => {
                *connection
            }
            HashingJob::Replace { change, .. } => change.connection,
        }
    }

    /// Returns the answer to give if this step fails.
    pub(super) fn unavailable(&self) -> StoreAnswer {
        match self {
            HashingJob::Hash { connection, .. } => sign_up_unavailable(*connection),
            HashingJob::Compare { connection, .. } => check_unavailable(*connection),
            HashingJob::Replace { change, .. } => change_unavailable(change),
        }
    }

    /// Names the step for the operator's log.
    pub(super) fn what(&self) -> &'static str {
        match self {
            HashingJob::Hash { .. } => "hashing a new password",
            HashingJob::Compare { .. } => "comparing a password",
            HashingJob::Replace { .. } => "comparing and hashing a password",
        }
    }
}

/// Returns true if the account exists and the password is right. An account with an unusable hash
/// looks like a missing one from outside, and is reported in the log.
fn is_right(
    hasher: &mut Hasher,
    password: &Secret,
    account: Option<(&Username, &Account)>,
) -> Result<bool, HashError> {
    let verified = hasher.verify(&password.0, account.map(|(_, account)| account.phc.as_str()));
    if let (Err(error @ HashError::Stored(_)), Some((username, _))) = (&verified, account) {
        tracing::warn!(
            %username,
            %error,
            "nobody can log in by password until `account reset-password` gives a new one"
        );
        return Ok(false);
    }
    verified
}

/// Returns the answer to a request that the store can't carry out, or `None` if none is expected.
pub fn unavailable(request: &StoreRequest) -> Option<StoreAnswer> {
    match request {
        StoreRequest::SignUp { connection, .. } => Some(sign_up_unavailable(*connection)),
        StoreRequest::CheckPassword { connection, .. }
        | StoreRequest::CheckKey { connection, .. } => Some(check_unavailable(*connection)),
        StoreRequest::ChangePassword(change) => Some(change_unavailable(change)),
        StoreRequest::Append { .. } => Some(StoreAnswer::Appended { result: Err(Unavailable) }),
        StoreRequest::Forget { .. } => None,
        StoreRequest::Mail(request) => Some(StoreAnswer::Mail(request.unavailable())),
        StoreRequest::Cluster(request) => Some(StoreAnswer::Cluster(request.unavailable())),
    }
}

fn sign_up_unavailable(connection: ConnectionId) -> StoreAnswer {
    StoreAnswer::SignedUp { connection, result: Err(Unavailable) }
}

fn check_unavailable(connection: ConnectionId) -> StoreAnswer {
    StoreAnswer::Checked { connection, result: Err(Unavailable) }
}

fn change_unavailable(change: &PasswordChange) -> StoreAnswer {
    let (connection, username) = (change.connection, change.username.clone());
    StoreAnswer::PasswordChanged { connection, username, result: Err(Unavailable) }
}

fn changed(connection: ConnectionId, username: Username, verdict: Verdict) -> Step {
    Step::Answer(StoreAnswer::PasswordChanged { connection, username, result: Ok(verdict) })
}

fn signed_up(connection: ConnectionId, created: Created) -> Step {
    Step::Answer(StoreAnswer::SignedUp { connection, result: Ok(created) })
}

fn checked(connection: ConnectionId, verdict: Verdict) -> Step {
    Step::Answer(StoreAnswer::Checked { connection, result: Ok(verdict) })
}
