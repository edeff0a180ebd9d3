# What callers, other clouds and the configuration need to know.

output "read_url" {
  description = "Where the function that reads is called."
  value       = google_cloudfunctions2_function.http["read"].service_config[0].uri
}

output "keys_url" {
  description = "Where the function that makes and changes keys is called."
  value       = google_cloudfunctions2_function.http["keys"].service_config[0].uri
}

output "rotation_topic" {
  description = "The topic that a secret names to be rotated: gcloud secrets update <secret> --add-topics=<this>."
  value       = google_pubsub_topic.rotation.id
}

output "secret_prefix" {
  description = "How the names of created secrets begin in Secret Manager."
  value       = local.native_prefix
}

output "kms_key_name" {
  description = "google_kms_key_name of the configuration, where a customer's key was wanted."
  value       = local.customer_key
}

# A trust policy of AWS names a service account by this number (accounts.google.com:sub and :aud), never by its address.
output "unique_ids" {
  description = "The numbers by which AWS knows the functions' service accounts: for LatchkeyFederation."
  value       = { for name, account in google_service_account.function : name => account.unique_id }
}

output "aws_provider" {
  description = "The audience of credential files for functions on AWS (gcloud iam workload-identity-pools create-cred-config <this> --aws)."
  value       = one(google_iam_workload_identity_pool_provider.aws[*].name)
}
