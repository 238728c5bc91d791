//! Where a colony's history goes besides its file: `colony.debug.export`.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::values;
use crate::access::Endpoint;

/// Where the history goes besides its file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExportConfig {
    /// To a collector of OpenTelemetry, as it is stored.
    pub otlp: Option<OtlpConfig>,
    /// To object storage or a folder, once in a while.
    pub parquet: Option<ParquetConfig>,
}

/// A collector of OpenTelemetry.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OtlpConfig {
    /// Where it listens for gRPC.
    pub endpoint: Endpoint,
    /// The CA of its certificate, where it is none that the system trusts.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// Headers of every request, such as a token: `name: value`, a line each.
    #[serde(default)]
    pub headers_file: Option<PathBuf>,
    /// Whether it gets the recorded calls.
    #[serde(default = "yes")]
    pub spans: bool,
    /// Whether it gets the functions' numbers.
    #[serde(default = "yes")]
    pub metrics: bool,
}

/// Object storage, or a folder.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParquetConfig {
    /// Where to.
    pub url: ObjectsUrl,
    /// How often.
    #[serde(default = "hour", with = "values::period")]
    pub every: Duration,
    /// The CA of the server's certificate, where it is none that the system trusts.
    #[serde(default)]
    pub ca: Option<PathBuf>,
}

/// Where objects are: `s3://bucket/prefix`, or `file:///folder`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum ObjectsUrl {
    /// A bucket of S3 or of something that speaks like it.
    S3 {
        /// The bucket's name.
        bucket: String,
        /// What the names of all objects begin with; may be empty.
        prefix: String,
    },
    /// A folder.
    Folder(PathBuf),
}

impl ExportConfig {
    pub(super) fn paths(&mut self) -> Vec<&mut PathBuf> {
        let otlp = self.otlp.iter_mut();
        let otlp = otlp.flat_map(|otlp| [&mut otlp.ca, &mut otlp.headers_file]);
        let parquet = self.parquet.iter_mut().map(|parquet| &mut parquet.ca);
        otlp.chain(parquet).flatten().collect()
    }
}

impl TryFrom<String> for ObjectsUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parsed = if let Some(path) = text.strip_prefix("file://") {
            path.starts_with('/').then(|| Self::Folder(path.into()))
        } else if let Some(rest) = text.strip_prefix("s3://") {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            (!bucket.is_empty()).then(|| Self::S3 {
                bucket: bucket.to_owned(),
                prefix: prefix.trim_matches('/').to_owned(),
            })
        } else {
            None
        };
        parsed.ok_or_else(|| format!("`{text}` is neither s3://bucket/prefix nor file:///folder"))
    }
}

fn yes() -> bool {
    true
}

fn hour() -> Duration {
    Duration::from_secs(3_600)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_in_a_bucket_or_in_a_folder() {
        let parsed = |text: &str| ObjectsUrl::try_from(text.to_owned());
        let s3 = |bucket: &str, prefix: &str| {
            Ok(ObjectsUrl::S3 {
                bucket: bucket.into(),
                prefix: prefix.into(),
            })
        };
        assert_eq!(parsed("s3://traces"), s3("traces", ""));
        assert_eq!(parsed("s3://traces/a/b/"), s3("traces", "a/b"));
        assert_eq!(
            parsed("file:///srv/x"),
            Ok(ObjectsUrl::Folder("/srv/x".into()))
        );
        for text in ["", "s3://", "file://srv", "gs://b", "/srv"] {
            assert!(parsed(text).is_err(), "{text}");
        }
    }
}
