//! coral's wire: the protobuf definitions under `proto/coral`, the code that is made of them, and
//! the one place that turns wire types into those of `coral-model` and back.
//!
//! The generated code is checked in, so that nothing is needed to build it; `tests/generated.rs`
//! makes it again and compares.

pub mod convert;

/// Definitions by package.
pub mod sdk {
    /// `coral.sdk.v1`: what an application tells about itself.
    #[allow(missing_docs, clippy::all, unreachable_pub)] // generated
    pub mod v1 {
        include!("generated/coral.sdk.v1.rs");
    }
}

/// Definitions by package.
pub mod agent {
    /// `coral.agent.v1`: sessions on one node.
    #[allow(missing_docs, clippy::all, unreachable_pub)] // generated
    pub mod v1 {
        include!("generated/coral.agent.v1.rs");
    }
}

/// Definitions by package.
pub mod colony {
    /// `coral.colony.v1`: sessions on every replica of a service.
    #[allow(missing_docs, clippy::all, unreachable_pub)] // generated
    pub mod v1 {
        include!("generated/coral.colony.v1.rs");
    }
}

/// OpenTelemetry's protocol, as far as it is spoken here. Its modules lie as its packages do.
#[allow(missing_docs, clippy::all, unreachable_pub)] // generated
pub mod opentelemetry {
    pub mod proto {
        pub mod common {
            pub mod v1 {
                include!("generated/opentelemetry.proto.common.v1.rs");
            }
        }
        pub mod resource {
            pub mod v1 {
                include!("generated/opentelemetry.proto.resource.v1.rs");
            }
        }
        pub mod metrics {
            pub mod v1 {
                include!("generated/opentelemetry.proto.metrics.v1.rs");
            }
        }
        pub mod trace {
            pub mod v1 {
                include!("generated/opentelemetry.proto.trace.v1.rs");
            }
        }
        pub mod collector {
            pub mod metrics {
                pub mod v1 {
                    include!("generated/opentelemetry.proto.collector.metrics.v1.rs");
                }
            }
            pub mod trace {
                pub mod v1 {
                    include!("generated/opentelemetry.proto.collector.trace.v1.rs");
                }
            }
        }
    }
}

/// All definitions, for servers that describe themselves.
pub const DESCRIPTORS: &[u8] = include_bytes!("generated/descriptors.bin");

/// The metadata of an error that holds its stable code.
pub const ERROR_CODE: &str = "coral-code";
/// The metadata of an error that holds the next step.
pub const ERROR_HELP: &str = "coral-help";
/// The metadata of a request that a colony makes for somebody else: their name. It is believed over
/// the link that an agent has opened itself, and nowhere else.
pub const ON_BEHALF_OF: &str = "coral-on-behalf-of";

/// The metadata key of a refused request's approval, which somebody else may give.
pub const APPROVAL_ID: &str = "coral-approval";

/// No message on the wire is longer than this, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 1 << 20;
