//! What is said to containerd and read of its answers: of its messages the fields that are needed here (containerd, `api/services`).
//!
//! The crate that has all of them makes them of their `.proto` files when it is built, which needs `protoc` on each machine that builds.

use std::collections::HashMap;

use bytes::Bytes;

/// `containerd.services.content.v1.ListContentRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ListContentRequest {
    #[prost(string, repeated, tag = "1")]
    pub filters: Vec<String>,
}

/// `containerd.services.content.v1.ListContentResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ListContentResponse {
    #[prost(message, repeated, tag = "1")]
    pub info: Vec<Info>,
}

/// `containerd.services.content.v1.Info`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Info {
    #[prost(string, tag = "1")]
    pub digest: String,
    #[prost(int64, tag = "2")]
    pub size: i64,
    #[prost(message, optional, tag = "3")]
    pub created_at: Option<Timestamp>,
    #[prost(map = "string, string", tag = "5")]
    pub labels: HashMap<String, String>,
}

/// `google.protobuf.Timestamp`.
#[derive(Clone, Copy, Eq, PartialEq, prost::Message)]
pub struct Timestamp {
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

/// `containerd.services.content.v1.ReadContentRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ReadContentRequest {
    #[prost(string, tag = "1")]
    pub digest: String,
    #[prost(int64, tag = "2")]
    pub offset: i64,
    /// 0 stands for all that follows.
    #[prost(int64, tag = "3")]
    pub size: i64,
}

/// `containerd.services.content.v1.ReadContentResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ReadContentResponse {
    #[prost(bytes = "bytes", tag = "2")]
    pub data: Bytes,
}

/// `containerd.services.images.v1.GetImageRequest`, and `containerd.services.containers.v1.GetContainerRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct GetRequest {
    #[prost(string, tag = "1")]
    pub name: String,
}

/// `containerd.services.images.v1.GetImageResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct GetImageResponse {
    #[prost(message, optional, tag = "1")]
    pub image: Option<Image>,
}

/// `containerd.services.images.v1.Image`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Image {
    #[prost(message, optional, tag = "3")]
    pub target: Option<Descriptor>,
}

/// `containerd.types.Descriptor`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Descriptor {
    #[prost(string, tag = "1")]
    pub media_type: String,
    #[prost(string, tag = "2")]
    pub digest: String,
}

/// `containerd.services.containers.v1.GetContainerResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct GetContainerResponse {
    #[prost(message, optional, tag = "1")]
    pub container: Option<Container>,
}

/// `containerd.services.containers.v1.Container`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Container {
    #[prost(string, tag = "3")]
    pub image: String,
}

/// `containerd.services.tasks.v1.ListTasksRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ListTasksRequest {}

/// `containerd.services.tasks.v1.ListTasksResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ListTasksResponse {
    #[prost(message, repeated, tag = "1")]
    pub tasks: Vec<Process>,
}

/// `containerd.v1.types.Process`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Process {
    /// The task's id, which is its container's.
    #[prost(string, tag = "2")]
    pub id: String,
    /// 3 where it has ended.
    #[prost(int32, tag = "4")]
    pub status: i32,
}

impl Process {
    /// `STOPPED` of `containerd.v1.types.Status`.
    const STOPPED: i32 = 3;

    /// Whether it has not ended: created, running or paused.
    pub fn is_live(&self) -> bool {
        self.status != Self::STOPPED
    }
}
