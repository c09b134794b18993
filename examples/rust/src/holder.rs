use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime};

use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use crate::nexus::v1::token_service_client::TokenServiceClient;
use crate::nexus::v1::watch_tokens_response::Event;
use crate::nexus::v1::{Position, Token, TokenState, WatchTokensRequest};
use crate::{Credential, duration_of};

const BOOKMARK_INTERVAL: Duration = Duration::from_secs(30); // the daemon's own default
const SILENCE: Duration = Duration::from_secs(3 * BOOKMARK_INTERVAL.as_secs()); // a stream that carried nothing for so long is dead
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(10);

/// What is not fixed by another attempt.
const PERMANENT: [Code; 4] = [
    Code::InvalidArgument,
    Code::Unauthenticated,
    Code::PermissionDenied,
    Code::Unimplemented,
];

/// The newest token of each connection, kept up to date by `watch`.
#[derive(Default)]
pub struct Holder {
    states: HashMap<String, TokenState>,
    position: Option<Position>,
    named: Option<HashSet<String>>, // what a snapshot has named so far; None outside of one
}

impl Holder {
    /// What to use now, also while the daemon is away: None once it has expired, or when there is none.
    pub fn token(&self, connection_id: &str) -> Option<&Token> {
        let token = self.states.get(connection_id)?.token.as_ref()?;
        match token.expires_at {
            Some(end) if SystemTime::try_from(end).is_ok_and(|end| end <= SystemTime::now()) => {
                None
            }
            _ => Some(token),
        }
    }

    /// Reads streams one after the other, each resumed where the one before ended. Returns what another attempt will
    /// not fix.
    pub async fn watch(
        &mut self,
        channel: Channel,
        credential: Credential,
        connection_ids: Vec<String>,
        mut on_event: impl FnMut(&Holder, &Event),
    ) -> Status {
        let mut tokens = TokenServiceClient::with_interceptor(channel, credential);
        let mut failures = 0;
        loop {
            let mut delay = None;
            self.named = if self.position.is_none() {
                Some(HashSet::new())
            } else {
                None
            };
            let request = Request::new(WatchTokensRequest {
                connection_ids: connection_ids.clone(),
                position: self.position.clone(),
                bookmark_interval: BOOKMARK_INTERVAL.try_into().ok(),
                ..Default::default()
            });
            let status = match tokio::time::timeout(SILENCE, tokens.watch_tokens(request)).await {
                Err(_) => Status::deadline_exceeded("nothing came for too long"),
                Ok(Err(status)) => status,
                Ok(Ok(response)) => {
                    let mut stream = response.into_inner(); // dropping it cancels the call
                    loop {
                        match tokio::time::timeout(SILENCE, stream.message()).await {
                            Err(_) => break Status::deadline_exceeded("nothing came for too long"),
                            Ok(Err(status)) => break status,
                            Ok(Ok(None)) => break Status::ok("by the daemon"),
                            Ok(Ok(Some(message))) => {
                                failures = 0;
                                let Some(event) = message.event else { continue };
                                if let Event::Drain(drain) = &event {
                                    delay = drain.reconnect_delay.as_ref().map(duration_of);
                                }
                                self.take(&event);
                                on_event(self, &event);
                            }
                        }
                    }
                }
            };
            if PERMANENT.contains(&status.code()) {
                return status;
            }
            println!("the stream ended: {:?} {}", status.code(), status.message());
            let longest = LONGEST_DELAY.min(FIRST_DELAY * 2_u32.pow(failures.min(10)));
            tokio::time::sleep(delay.unwrap_or_else(|| longest.mul_f64(fastrand::f64()))).await;
            failures += 1;
        }
    }

    fn take(&mut self, event: &Event) {
        match event {
            Event::State(state) => {
                if let Some(named) = &mut self.named {
                    named.insert(state.connection_id.clone());
                }
                self.states
                    .insert(state.connection_id.clone(), state.clone());
            }
            Event::Removed(removed) => {
                self.states.remove(&removed.connection_id);
            }
            Event::Reset(_) => {
                self.position = None;
                self.named = Some(HashSet::new());
            }
            Event::Bookmark(bookmark) => {
                if let Some(named) = self.named.take() {
                    self.states.retain(|id, _| named.contains(id)); // the snapshot is complete: what it did not name is gone
                }
                self.position = bookmark.position.clone();
            }
            Event::Drain(_) => {}
        }
    }
}
