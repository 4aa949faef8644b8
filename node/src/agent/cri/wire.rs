//! What is said to a container runtime and read of its answers (Kubernetes' `cri-api`, `runtime/v1/api.proto`): of its messages the fields
//! that are needed here, which an older runtime may not know and then passes over.

mod container;
mod image;
mod sandbox;
mod status;

pub use container::{
    Capability, Container, ContainerConfig, ContainerFilter, ContainerIdRequest, ContainerMetadata, ContainerResources,
    ContainerSecurity, ContainerState, ContainerStatus, ContainerStatusResponse, CreateContainerRequest, CreateContainerResponse,
    ExecSyncRequest, ExecSyncResponse, LinuxContainerConfig, ListContainersRequest, ListContainersResponse, Mount,
    StopContainerRequest,
};
pub use image::{
    AuthConfig, ImageFsInfoResponse, ImageRequest, ImageSpec, ImageStatusResponse, LocalImage, PullImageRequest,
    PullImageResponse,
};
pub use sandbox::{
    ListPodSandboxRequest, ListPodSandboxResponse, NamespaceMode, NamespaceOption, PodSandbox, PodSandboxConfig,
    PodSandboxFilter, PodSandboxMetadata, PodSandboxState, PodSandboxStatus, PodSandboxStatusResponse, PortMapping,
    RunPodSandboxRequest, RunPodSandboxResponse, SandboxIdRequest, SandboxLinux, SandboxSecurity,
};
pub use status::{RuntimeCondition, StatusResponse, VersionRequest, VersionResponse};

/// A message with nothing in it.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Empty {}

/// `runtime.v1.Int64Value`.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Int64Value {
    #[prost(int64, tag = "1")]
    pub value: i64,
}

/// `runtime.v1.KeyValue`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct KeyValue {
    #[prost(string, tag = "1")]
    pub key: String,
    #[prost(string, tag = "2")]
    pub value: String,
}

/// `runtime.v1.SecurityProfile`: 0 is the runtime's own, 1 none at all.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SecurityProfile {
    #[prost(int32, tag = "1")]
    pub profile_type: i32,
}

impl SecurityProfile {
    /// What the runtime does where it is asked for nothing in particular.
    pub const RUNTIME_DEFAULT: i32 = 0;
    /// No limits.
    pub const UNCONFINED: i32 = 1;
}
