# Latchkey on Google Cloud: three functions under three service accounts, what each may do with which secrets, and the way of Secret Manager's events.
# No binding is authoritative: what others have given on the same secret or project stays.

terraform {
  required_version = ">= 1.5"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 6.50, < 8"
    }
  }
}

provider "google" {
  project = var.project
  region  = var.region
}

data "google_project" "here" {
  project_id = var.project
}

locals {
  # Conditions of IAM name a project by its number, and Secret Manager holds a slash as -2f.
  secrets       = "projects/${data.google_project.here.number}/secrets"
  native_prefix = replace(var.prefix, "/", "-2f")
  below_prefix  = "resource.name.startsWith(\"${local.secrets}/${local.native_prefix}\")"
  own_records   = "resource.name.startsWith(\"${local.secrets}/${local.native_prefix}__latchkey-2f\")"

  # The next value of a secret outside of the prefix waits in a record of its own.
  staged = length(var.rotated_secrets) == 0 ? "" : " || resource.name.startsWith(\"${local.secrets}/__latchkey-2f\")"
  reach  = { read = local.below_prefix, keys = local.below_prefix, rotate = "${local.below_prefix}${local.staged}" }
  values = var.access_mode == "write_only" ? { read = local.own_records, keys = local.own_records, rotate = "${local.own_records}${local.staged}" } : local.reach

  # The agents of Google's services, made when a service is first used in a project (README).
  secret_manager_agent = "serviceAccount:service-${data.google_project.here.number}@gcp-sa-secretmanager.iam.gserviceaccount.com"
  pubsub_agent         = "serviceAccount:service-${data.google_project.here.number}@gcp-sa-pubsub.iam.gserviceaccount.com"

  roles = {
    values   = "roles/secretmanager.secretAccessor"
    metadata = google_project_iam_custom_role.metadata.name
    write    = google_project_iam_custom_role.write.name
  }

  customer_key = one(google_kms_crypto_key.secrets[*].id)
}

resource "google_project_service" "used" {
  for_each           = toset(["artifactregistry", "cloudbuild", "cloudfunctions", "cloudkms", "cloudscheduler", "eventarc", "iam", "monitoring", "pubsub", "run", "secretmanager"])
  service            = "${each.key}.googleapis.com"
  disable_on_destroy = false
}

# Who runs

resource "google_service_account" "function" {
  for_each     = toset(["read", "keys", "rotate"])
  account_id   = "${var.name}-${each.key}"
  display_name = "Latchkey ${each.key}"
}

resource "google_service_account" "deliverer" {
  account_id   = "${var.name}-deliver"
  display_name = "Delivers events to Latchkey rotate, and may do nothing else"
}

resource "google_service_account" "builder" {
  account_id   = "${var.name}-build"
  display_name = "Builds Latchkey's functions"
}

# What they may do with secrets

resource "google_project_iam_custom_role" "metadata" {
  role_id     = "${replace(var.name, "-", "_")}_metadata"
  title       = "Latchkey: looks at a secret and its versions"
  permissions = ["secretmanager.secrets.get", "secretmanager.versions.get", "secretmanager.versions.list"]
}

resource "google_project_iam_custom_role" "list" {
  role_id     = "${replace(var.name, "-", "_")}_list"
  title       = "Latchkey: lists secrets"
  permissions = ["secretmanager.secrets.list"]
}

resource "google_project_iam_custom_role" "create" {
  role_id     = "${replace(var.name, "-", "_")}_create"
  title       = "Latchkey: makes secrets"
  permissions = ["secretmanager.secrets.create"]
}

resource "google_project_iam_custom_role" "write" {
  role_id = "${replace(var.name, "-", "_")}_write"
  title   = "Latchkey: changes and deletes secrets"
  permissions = [
    "secretmanager.secrets.delete",
    "secretmanager.secrets.update",
    "secretmanager.versions.add",
    "secretmanager.versions.destroy",
    "secretmanager.versions.disable",
    "secretmanager.versions.enable",
  ]
}

resource "google_project_iam_member" "read_values" {
  count   = var.access_mode == "write_only" ? 0 : 1
  project = var.project
  role    = "roles/secretmanager.secretAccessor"
  member  = google_service_account.function["read"].member

  condition {
    title      = "below the prefix"
    expression = local.below_prefix
  }
}

resource "google_project_iam_member" "values" {
  for_each = toset(["keys", "rotate"])
  project  = var.project
  role     = "roles/secretmanager.secretAccessor"
  member   = google_service_account.function[each.key].member

  condition {
    title      = var.access_mode == "write_only" ? "own records" : "below the prefix"
    expression = local.values[each.key]
  }
}

resource "google_project_iam_member" "metadata" {
  for_each = toset(["read", "keys", "rotate"])
  project  = var.project
  role     = google_project_iam_custom_role.metadata.name
  member   = google_service_account.function[each.key].member

  condition {
    title      = "below the prefix"
    expression = local.reach[each.key]
  }
}

resource "google_project_iam_member" "write" {
  for_each = toset(["keys", "rotate"])
  project  = var.project
  role     = google_project_iam_custom_role.write.name
  member   = google_service_account.function[each.key].member

  condition {
    title      = "below the prefix"
    expression = local.reach[each.key]
  }
}

# Google judges lists and creations on the project, where no condition on a name can hold: a list shows names and labels of all secrets, and a creation gives no right to what it makes.

resource "google_project_iam_member" "list" {
  for_each = toset(["read", "keys", "rotate"])
  project  = var.project
  role     = google_project_iam_custom_role.list.name
  member   = google_service_account.function[each.key].member
}

resource "google_project_iam_member" "create" {
  for_each = toset(["keys", "rotate"])
  project  = var.project
  role     = google_project_iam_custom_role.create.name
  member   = google_service_account.function[each.key].member
}

resource "google_secret_manager_secret_iam_member" "hosted_values" {
  for_each  = var.access_mode == "write_only" ? toset([]) : var.hosted_secrets
  secret_id = each.key
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.function["read"].member
}

resource "google_secret_manager_secret_iam_member" "hosted_metadata" {
  for_each  = var.hosted_secrets
  secret_id = each.key
  role      = google_project_iam_custom_role.metadata.name
  member    = google_service_account.function["read"].member
}

resource "google_secret_manager_secret_iam_member" "environment" {
  for_each  = { for pair in setproduct(["read", "keys", "rotate"], values(var.secret_environment)) : "${pair[0]} ${pair[1]}" => { function = pair[0], secret = pair[1] } }
  secret_id = each.value.secret
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.function[each.value.function].member
}

# Code

resource "google_storage_bucket" "code" {
  name                        = "${var.project}-${var.name}-code"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  versioning {
    enabled = true
  }

  lifecycle_rule {
    condition {
      num_newer_versions = 5
    }

    action {
      type = "Delete"
    }
  }
}

resource "google_storage_bucket_object" "code" {
  for_each = toset(["read", "keys", "rotate"])
  bucket   = google_storage_bucket.code.name
  # Another archive is another object, and so another deployment.
  name   = "${each.key}-${filesha256("${var.bundles}/gcp-${each.key}.zip")}.zip"
  source = "${var.bundles}/gcp-${each.key}.zip"
}

resource "google_artifact_registry_repository" "images" {
  repository_id = var.name
  location      = var.region
  format        = "DOCKER"
  depends_on    = [google_project_service.used]
}

resource "google_artifact_registry_repository_iam_member" "builder" {
  repository = google_artifact_registry_repository.images.name
  location   = var.region
  role       = "roles/artifactregistry.writer"
  member     = google_service_account.builder.member
}

resource "google_project_iam_member" "builder_logs" {
  project = var.project
  role    = "roles/logging.logWriter"
  member  = google_service_account.builder.member
}

resource "google_project_iam_member" "builder_sources" {
  project = var.project
  role    = "roles/storage.objectViewer"
  member  = google_service_account.builder.member

  condition {
    title      = "sources of functions"
    expression = "resource.name.startsWith(\"projects/_/buckets/gcf-v2-sources-${data.google_project.here.number}-\") || resource.name.startsWith(\"projects/_/buckets/${google_storage_bucket.code.name}/\")"
  }
}

# Functions

resource "google_cloudfunctions2_function" "http" {
  for_each = toset(["read", "keys"])
  name     = "${var.name}-${each.key}"
  location = var.region

  build_config {
    runtime           = "nodejs24"
    entry_point       = each.key
    docker_repository = google_artifact_registry_repository.images.id
    service_account   = google_service_account.builder.id

    source {
      storage_source {
        bucket = google_storage_bucket.code.name
        object = google_storage_bucket_object.code[each.key].name
      }
    }
  }

  service_config {
    service_account_email            = google_service_account.function[each.key].email
    ingress_settings                 = var.ingress
    available_cpu                    = "1"
    available_memory                 = "512Mi"
    timeout_seconds                  = 60
    max_instance_count               = var.max_instances
    max_instance_request_concurrency = 16
    all_traffic_on_latest_revision   = true

    environment_variables = {
      NODE_ENV                         = "production"
      GOOGLE_SECRET_MANAGER_PROJECT_ID = var.project
    }

    dynamic "secret_environment_variables" {
      for_each = var.secret_environment

      content {
        key        = secret_environment_variables.key
        secret     = secret_environment_variables.value
        version    = "latest"
        project_id = var.project
      }
    }
  }

  depends_on = [google_artifact_registry_repository_iam_member.builder, google_project_iam_member.builder_logs, google_project_iam_member.builder_sources, google_secret_manager_secret_iam_member.environment]
}

resource "google_cloud_run_v2_service_iam_member" "read_invoker" {
  for_each = var.read_invokers
  name     = google_cloudfunctions2_function.http["read"].name
  location = var.region
  role     = "roles/run.invoker"
  member   = each.key
}

resource "google_cloud_run_v2_service_iam_member" "keys_invoker" {
  for_each = var.keys_invokers
  name     = google_cloudfunctions2_function.http["keys"].name
  location = var.region
  role     = "roles/run.invoker"
  member   = each.key
}

# Rotation: Secret Manager tells the topic, the topic's subscription pushes to the function. The sweep has a topic of its own, which also makes the function one that takes events.

resource "google_cloudfunctions2_function" "rotate" {
  name     = "${var.name}-rotate"
  location = var.region

  build_config {
    runtime           = "nodejs24"
    entry_point       = "rotate"
    docker_repository = google_artifact_registry_repository.images.id
    service_account   = google_service_account.builder.id

    source {
      storage_source {
        bucket = google_storage_bucket.code.name
        object = google_storage_bucket_object.code["rotate"].name
      }
    }
  }

  service_config {
    service_account_email            = google_service_account.function["rotate"].email
    ingress_settings                 = "ALLOW_INTERNAL_ONLY"
    available_cpu                    = "1"
    available_memory                 = "512Mi"
    timeout_seconds                  = 60
    max_instance_count               = var.max_instances
    max_instance_request_concurrency = 4
    all_traffic_on_latest_revision   = true

    environment_variables = {
      NODE_ENV                         = "production"
      GOOGLE_SECRET_MANAGER_PROJECT_ID = var.project
    }

    dynamic "secret_environment_variables" {
      for_each = var.secret_environment

      content {
        key        = secret_environment_variables.key
        secret     = secret_environment_variables.value
        version    = "latest"
        project_id = var.project
      }
    }
  }

  # A tick that fails is not repeated: the next one does what is still due.
  event_trigger {
    trigger_region        = var.region
    event_type            = "google.cloud.pubsub.topic.v1.messagePublished"
    pubsub_topic          = google_pubsub_topic.sweep.id
    retry_policy          = "RETRY_POLICY_DO_NOT_RETRY"
    service_account_email = google_service_account.deliverer.email
  }

  depends_on = [google_artifact_registry_repository_iam_member.builder, google_project_iam_member.builder_logs, google_project_iam_member.builder_sources, google_secret_manager_secret_iam_member.environment]
}

resource "google_cloud_run_v2_service_iam_member" "rotate_invoker" {
  name     = google_cloudfunctions2_function.rotate.name
  location = var.region
  role     = "roles/run.invoker"
  member   = google_service_account.deliverer.member
}

resource "google_pubsub_topic" "rotation" {
  name         = "${var.name}-rotation"
  kms_key_name = local.customer_key
  depends_on   = [google_project_service.used, google_kms_crypto_key_iam_member.messages]
}

resource "google_pubsub_topic" "sweep" {
  name         = "${var.name}-sweep"
  kms_key_name = local.customer_key
  depends_on   = [google_project_service.used, google_kms_crypto_key_iam_member.messages]
}

resource "google_pubsub_topic" "dead_letters" {
  name         = "${var.name}-dead-letters"
  kms_key_name = local.customer_key
  depends_on   = [google_project_service.used, google_kms_crypto_key_iam_member.messages]
}

resource "google_pubsub_topic_iam_member" "secret_manager" {
  topic  = google_pubsub_topic.rotation.name
  role   = "roles/pubsub.publisher"
  member = local.secret_manager_agent
}

resource "google_pubsub_subscription" "rotation" {
  name                       = "${var.name}-rotation"
  topic                      = google_pubsub_topic.rotation.id
  ack_deadline_seconds       = 60
  message_retention_duration = "86400s"

  push_config {
    push_endpoint = google_cloudfunctions2_function.rotate.service_config[0].uri

    oidc_token {
      service_account_email = google_service_account.deliverer.email
      audience              = google_cloudfunctions2_function.rotate.service_config[0].uri
    }
  }

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.dead_letters.id
    max_delivery_attempts = 10
  }

  expiration_policy {
    ttl = ""
  }
}

# What nobody could handle waits here for somebody to look at it.
resource "google_pubsub_subscription" "dead_letters" {
  name                       = "${var.name}-dead-letters"
  topic                      = google_pubsub_topic.dead_letters.id
  message_retention_duration = "1209600s"

  expiration_policy {
    ttl = ""
  }
}

resource "google_pubsub_topic_iam_member" "dead_letters" {
  topic  = google_pubsub_topic.dead_letters.name
  role   = "roles/pubsub.publisher"
  member = local.pubsub_agent
}

resource "google_pubsub_subscription_iam_member" "dead_letters" {
  subscription = google_pubsub_subscription.rotation.name
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub_agent
}

resource "google_cloud_scheduler_job" "sweep" {
  name     = "${var.name}-sweep"
  region   = var.region
  schedule = var.sweep_schedule

  pubsub_target {
    topic_name = google_pubsub_topic.sweep.id
    data       = base64encode(jsonencode({ source = "latchkey.scheduler", action = "rotate due" }))
  }
}

resource "google_monitoring_alert_policy" "dead_letters" {
  display_name          = "Latchkey: an event could not be handled"
  combiner              = "OR"
  notification_channels = var.notification_channels

  conditions {
    display_name = "A message waits among the dead letters"

    condition_threshold {
      filter          = "resource.type = \"pubsub_subscription\" AND resource.labels.subscription_id = \"${google_pubsub_subscription.dead_letters.name}\" AND metric.type = \"pubsub.googleapis.com/subscription/num_undelivered_messages\""
      comparison      = "COMPARISON_GT"
      threshold_value = 0
      duration        = "0s"

      aggregations {
        alignment_period   = "300s"
        per_series_aligner = "ALIGN_MAX"
      }
    }
  }
}

# Secrets that Secret Manager's own schedule rotates. Their values are put in by who owns them; none passes through here.

resource "google_secret_manager_secret" "rotated" {
  for_each  = var.rotated_secrets
  secret_id = each.key
  labels    = { managed-by = "latchkey" }

  replication {
    auto {
      dynamic "customer_managed_encryption" {
        for_each = google_kms_crypto_key.secrets[*].id

        content {
          kms_key_name = customer_managed_encryption.value
        }
      }
    }
  }

  topics {
    name = google_pubsub_topic.rotation.id
  }

  rotation {
    next_rotation_time = each.value.first
    rotation_period    = "${each.value.days * 86400}s"
  }

  lifecycle {
    # The service moves the time, and Latchkey keeps its record in the rest.
    ignore_changes  = [annotations, labels, rotation[0].next_rotation_time, version_aliases]
    prevent_destroy = true
  }

  depends_on = [google_pubsub_topic_iam_member.secret_manager, google_kms_crypto_key_iam_member.secrets]
}

resource "google_secret_manager_secret_iam_member" "rotated" {
  for_each  = { for pair in setproduct(keys(var.rotated_secrets), ["values", "metadata", "write"]) : "${pair[0]} ${pair[1]}" => { secret = pair[0], role = pair[1] } }
  secret_id = google_secret_manager_secret.rotated[each.value.secret].secret_id
  role      = local.roles[each.value.role]
  member    = google_service_account.function["rotate"].member
}

# A key of the customer's, if wanted

resource "google_kms_key_ring" "secrets" {
  count      = var.customer_key ? 1 : 0
  name       = var.name
  location   = "global"
  depends_on = [google_project_service.used]
}

resource "google_kms_crypto_key" "secrets" {
  count           = var.customer_key ? 1 : 0
  name            = "secrets"
  key_ring        = google_kms_key_ring.secrets[0].id
  rotation_period = "7776000s"

  lifecycle {
    prevent_destroy = true
  }
}

resource "google_kms_crypto_key_iam_member" "secrets" {
  count         = var.customer_key ? 1 : 0
  crypto_key_id = google_kms_crypto_key.secrets[0].id
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = local.secret_manager_agent
}

resource "google_kms_crypto_key_iam_member" "messages" {
  count         = var.customer_key ? 1 : 0
  crypto_key_id = google_kms_crypto_key.secrets[0].id
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = local.pubsub_agent
}
