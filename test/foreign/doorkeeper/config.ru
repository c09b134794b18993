# frozen_string_literal: true

require_relative 'provider_app'
run ProviderApp
