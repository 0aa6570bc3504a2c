//! Artifacts and tests, for people.

use outrider_model::{JobId, TaskId};
use reqwest::{Method, Response};

use super::{Client, ClientError, Result};
use crate::outputs::{ArtifactList, JobTests, TestsQuery};

impl Client {
    /// The artifacts of a job.
    pub async fn artifacts(&self, job: JobId) -> Result<ArtifactList> {
        self.get(&format!("/jobs/{job}/artifacts")).await
    }

    /// An artifact's bytes.
    pub async fn artifact(&self, task: TaskId, path: &str) -> Result<Response> {
        let problem = |problem: &dyn std::fmt::Display| ClientError::Protocol {
            url: self.base.clone(),
            problem: problem.to_string(),
        };
        let base = format!("{}{}/tasks/{task}/artifacts", self.base, crate::paths::V1);
        let mut url = reqwest::Url::parse(&base).map_err(|error| problem(&error))?;
        let mut segments = url
            .path_segments_mut()
            .map_err(|()| problem(&"it has no path"))?;
        segments.extend(path.split('/'));
        drop(segments);
        self.send(self.http.request(Method::GET, url)).await
    }

    /// Tests of a job.
    pub async fn tests(&self, job: JobId, query: &TestsQuery) -> Result<JobTests> {
        let request = self.request(Method::GET, &format!("/jobs/{job}/tests"));
        self.call(request.query(query)).await
    }
}
