//! Object storage: a bucket, or a folder that stands for one.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::sync::Arc;
use std::time::Duration;

use coral_model::{Diagnostic, ExitStatus};
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, RetryConfig};

use super::http::Connector;
use crate::access::{AccessError, Outgoing};
use crate::config::{ObjectsUrl, ParquetConfig};

/// How often, and for how long, a single request is tried before it is told that it fails.
const RETRIES: usize = 2;
const RETRIES_MAX: Duration = Duration::from_secs(60);

/// Why object storage cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ObjectsError {
    /// What the configuration or the environment says of it.
    #[error("{to} cannot be used for exports: {why}")]
    Settings {
        /// Where to.
        to: String,
        /// What is wrong.
        why: String,
    },
    /// The CA.
    #[error(transparent)]
    Access(#[from] AccessError),
}

impl Diagnostic for ObjectsError {
    fn code(&self) -> &'static str {
        match self {
            Self::Settings { .. } => "bad-export",
            Self::Access(error) => error.code(),
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Settings { .. } => {
                "name a bucket or a folder that can be written, and set AWS_REGION, AWS_ENDPOINT_URL \
                 and the credentials as for any program that uses S3"
                    .to_owned()
            }
            Self::Access(error) => error.help(),
        }
    }

    fn exit_status(&self) -> ExitStatus {
        match self {
            Self::Settings { .. } => ExitStatus::Usage,
            Self::Access(error) => error.exit_status(),
        }
    }
}

/// A bucket with the beginning of all names, or a folder.
#[derive(Debug)]
pub(super) struct Objects {
    store: Arc<dyn ObjectStore>,
    prefix: String,
    shown: String,
}

impl Objects {
    pub(super) fn open(config: &ParquetConfig) -> Result<Self, ObjectsError> {
        let shown = match &config.url {
            ObjectsUrl::S3 { bucket, prefix } => format!("s3://{bucket}/{prefix}"),
            ObjectsUrl::Folder(path) => format!("file://{}", path.display()),
        };
        let refuse = |why: String| ObjectsError::Settings {
            to: shown.clone(),
            why,
        };
        let (store, prefix): (Arc<dyn ObjectStore>, _) = match &config.url {
            ObjectsUrl::S3 { bucket, prefix } => {
                let ca = config.ca.clone();
                let ca = ca.or_else(|| std::env::var_os("AWS_CA_BUNDLE").map(Into::into));
                let outgoing = Outgoing::of_http(ca.as_deref())?;
                let retry = RetryConfig {
                    max_retries: RETRIES,
                    retry_timeout: RETRIES_MAX,
                    ..RetryConfig::default()
                };
                let bucket = AmazonS3Builder::from_env()
                    .with_bucket_name(bucket)
                    .with_http_connector(Connector::over(outgoing))
                    .with_retry(retry);
                let bucket = bucket.build().map_err(|error| refuse(error.to_string()))?;
                (Arc::new(bucket), prefix.clone())
            }
            ObjectsUrl::Folder(path) => {
                // Exports hold what calls received, like the history itself.
                let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
                made.map_err(|error| refuse(error.to_string()))?;
                let folder = LocalFileSystem::new_with_prefix(path);
                let folder = folder.map_err(|error| refuse(error.to_string()))?;
                // What has arrived may be deleted from the history.
                (Arc::new(folder.with_fsync(true)), String::new())
            }
        };
        Ok(Self {
            store,
            prefix,
            shown,
        })
    }

    /// Where it is, for people.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    /// Puts an object there, in the place of one of that name.
    pub(super) async fn put(&self, name: &str, bytes: Vec<u8>) -> object_store::Result<()> {
        let path = Path::parse(format!("{}/{name}", self.prefix))?;
        self.store.put(&path, bytes.into()).await.map(drop)
    }
}
