//! The account's messages and prekeys: their file, and the sealing and opening of envelopes.
//!
//! The session names keys and bodies; the private halves of keys stay here. Opening an envelope takes a tenth of a
//! millisecond and happens as it arrives, on the session's thread.

use std::sync::Arc;

use letschat_core::mail::{Arrived, MailChange};
use letschat_core::session::Input;
use letschat_protocol::body::Body;
use letschat_protocol::dialogue::Mail;
use letschat_protocol::envelope::{Envelope, OpenError, Recipient};
use letschat_protocol::identity::{Fingerprint, Identity};
use letschat_protocol::sealing::{self, Receiver};
use letschat_protocol::username::Username;

use super::Running;
use crate::account::AccountFolder;
use crate::history::History;
use crate::mail_store::{MailStore, MailStoreError};
use crate::net::tls::PeerTls;

/// The open account.
pub(super) struct OpenAccount {
    // The stores are dropped before the folder, whose lock keeps other clients away from them.
    pub(super) mail: MailStore,
    /// `None` if the user wants none, or if it can't be used.
    pub(super) history: Option<History>,
    pub(super) folder: AccountFolder,
    pub(super) tls: PeerTls,
    pub(super) server: Fingerprint,
    pub(super) username: Username,
    pub(super) identity: Arc<Identity>,
    /// Gone once the account is closed, for threads that work for it.
    pub(super) open: Arc<()>,
}

impl OpenAccount {
    /// Opens a delivered envelope.
    ///
    /// # Errors
    ///
    /// Fails if the account's file can't be read. What the envelope holds is not known then.
    fn open_envelope(&self, mail: &Mail) -> Result<Result<Body, OpenError>, MailStoreError> {
        let Ok(envelope) = Envelope::parse(&mail.envelope) else {
            return Ok(Err(OpenError::Altered));
        };
        let device = self.identity.public_key();
        let receiver = Receiver { server: &self.server, username: &self.username, device: &device };
        let mut unreadable = None;
        let prekey_of = |public: &_| {
            let prekey = self.mail.prekey(public);
            prekey.unwrap_or_else(|error| {
                unreadable = Some(error);
                None
            })
        };
        let opened = sealing::open(&envelope, &mail.sender, receiver, prekey_of);
        unreadable.map_or(Ok(opened), Err)
    }
}

impl Running<'_> {
    /// Opens a delivered envelope. Returns `None` if no account is open, or if its file can't be read: the next login
    /// delivers the envelope again.
    pub(super) fn note_mail(&mut self, mail: &Mail) -> Option<Input> {
        let opened = self.account.as_ref()?.open_envelope(mail);
        let opened = opened.inspect_err(|why| self.tell_not_saved(why.to_string())).ok()?;
        let Mail { number, sender, envelope, .. } = mail;
        let (number, sender, bytes) = (*number, sender.clone(), envelope.len());
        Some(Input::Mail(Box::new(Arrived { number, sender, bytes, opened })))
    }

    pub(super) fn commit(&mut self, commit: u64, changes: &[MailChange]) {
        let result = match &mut self.account {
            Some(account) => account.mail.commit(changes).map_err(|error| error.to_string()),
            None => Err("the account is closed".into()),
        };
        if let Err(why) = &result {
            self.tell_not_saved(why.clone());
        }
        self.at_once.push_back(Input::Committed { commit, result });
    }

    pub(super) fn seal(&mut self, body: &Body, recipients: &[Recipient]) {
        let Some(OpenAccount { identity, server, .. }) = &self.account else {
            return;
        };
        let sealed = sealing::seal(body, identity, server, recipients);
        self.at_once.push_back(Input::Sealed(sealed.ok().map(|envelope| envelope.to_bytes())));
    }

    pub(super) fn make_prekey(&mut self, created_ms: u64, until_ms: u64) {
        let made =
            self.account.as_mut().map(|account| account.mail.make_prekey(created_ms, until_ms));
        let made =
            made.and_then(|made| made.inspect_err(|why| self.tell_not_saved(why.to_string())).ok());
        self.at_once.push_back(Input::PrekeyMade(made));
    }
}
