//! An agent that always holds its current tokens: it keeps WatchTokens open, whatever happens to the daemon. It follows
//! the rules for clients in the comment of WatchTokens (proto/nexus/v1/token.proto).

mod holder;

use std::collections::HashMap;
use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::transport::Endpoint;
use tonic::{Request, Status};

use holder::Holder;
use nexus::v1::watch_tokens_response::Event;
use nexus::v1::{Token, strategy::Kind};

pub mod nexus {
    pub mod v1 {
        tonic::include_proto!("nexus.v1");
    }
}

/// An agent that always holds its current tokens.
#[derive(Parser)]
struct Options {
    /// unix:PATH or http://HOST:PORT
    #[arg(long, env = "NEXUS_ADDRESS", default_value_t = default_address())]
    address: String,
    /// An API to call with each new token
    #[arg(long, value_name = "URL")]
    call: Option<String>,
    /// Ids of connections; none means all
    connection_ids: Vec<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    tokio::select! {
        ended = run(options) => ended,
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
    }
}

async fn run(options: Options) -> Result<(), Box<dyn Error>> {
    let credential = Credential::for_address(&options.address)?;
    let channel = Endpoint::from_shared(options.address.clone())?
        .connect_timeout(Duration::from_secs(5))
        .connect_lazy();
    println!("connecting to {}", options.address);
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(10))
        .build()?;
    let mut called = HashMap::new(); // the revision that the API was last called with
    let mut holder = Holder::default();
    let status = holder
        .watch(
            channel,
            credential,
            options.connection_ids,
            |holder, event| {
                println!("{}", describe(event));
                let (Event::State(state), Some(url)) = (event, &options.call) else {
                    return;
                };
                let id = state.connection_id.clone();
                let Some(token) = holder.token(&id) else {
                    return;
                };
                if called.insert(id.clone(), token.revision) == Some(token.revision) {
                    return;
                }
                let request = apply(token, client.get(url));
                tokio::spawn(async move {
                    match request.send().await {
                        Ok(response) => println!("{id}  API answered {}", response.status()),
                        Err(error) => println!("{id}  API answered {error}"),
                    }
                });
            },
        )
        .await;
    Err(format!("{:?}: {}", status.code(), status.message()).into())
}

/// The key that a TCP address asks for; a Unix socket asks for none.
#[derive(Clone)]
pub struct Credential(Option<MetadataValue<Ascii>>);

impl Credential {
    fn for_address(address: &str) -> Result<Self, Box<dyn Error>> {
        if !address.starts_with("http://") {
            return Ok(Self(None));
        }
        let file = std::env::var("NEXUS_API_KEY_FILE")
            .map_err(|error| format!("NEXUS_API_KEY_FILE: {error}"))?;
        let key = std::fs::read_to_string(file)
            .map_err(|error| format!("NEXUS_API_KEY_FILE: {error}"))?;
        Ok(Self(Some(format!("Bearer {}", key.trim()).parse()?)))
    }
}

impl Interceptor for Credential {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Self(Some(value)) = self {
            request
                .metadata_mut()
                .insert("authorization", value.clone());
        }
        Ok(request)
    }
}

/// One line for a person. It never holds a token.
fn describe(event: &Event) -> String {
    match event {
        Event::State(state) => {
            let status = state
                .status()
                .as_str_name()
                .trim_start_matches("CONNECTION_STATUS_")
                .to_lowercase();
            let mut line = format!(
                "{}  {status}  revision {}",
                state.connection_id, state.revision
            );
            match state.token.as_ref().map(|token| token.expires_at) {
                Some(Some(end)) => line += &format!("  expires {end}"),
                Some(None) => line += "  does not expire",
                None => {}
            }
            if let Some(problem) = &state.problem {
                line += &format!("  {}", problem.reason);
            }
            line
        }
        Event::Removed(removed) => format!("{}  removed", removed.connection_id),
        Event::Bookmark(bookmark) => {
            format!(
                "bookmark {}",
                bookmark
                    .position
                    .as_ref()
                    .map_or(0, |position| position.revision)
            )
        }
        Event::Reset(reset) => format!("reset: {}", reset.reason),
        Event::Drain(_) => "drain".to_owned(),
    }
}

/// Sets the header that carries the token.
fn apply(token: &Token, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
    let Some(Kind::Oauth2(strategy)) = token
        .strategy
        .as_ref()
        .and_then(|strategy| strategy.kind.as_ref())
    else {
        return request;
    };
    let credential = token
        .credentials
        .get(&strategy.credential_field)
        .map_or("", String::as_str);
    request.header(
        &strategy.header_name,
        format!("{}{credential}", strategy.value_prefix()),
    )
}

pub(crate) fn duration_of(duration: &prost_types::Duration) -> Duration {
    (*duration).try_into().unwrap_or_default()
}

fn default_address() -> String {
    let data_home = std::env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .unwrap_or_else(|| {
            PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".local/share")
        });
    format!("unix:{}", data_home.join("nexusd/nexus.sock").display())
}
