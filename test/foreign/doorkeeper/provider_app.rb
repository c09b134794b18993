# frozen_string_literal: true

# A Rails application with Doorkeeper and nothing else, as its README sets it up.
#
#   ruby provider_app.rb migrate
#   ruby provider_app.rb client ID SECRET REDIRECT_URI    registers a client
#   ruby provider_app.rb secret ID SECRET                 gives it another secret
#   ruby provider_app.rb end_grant ID NAME                ends what the user granted
#   puma config.ru
#
# APP_FOLDER holds its database, APP_PEOPLE names its users, APP_PASSWORD is the password of all.

require 'erb'
require 'active_support/all'
require 'active_record/railtie'
require 'action_controller/railtie'
require 'action_view/railtie'
require 'doorkeeper'

ENV['RAILS_ENV'] ||= 'production'
APP_FOLDER = ENV.fetch('APP_FOLDER')
ENV['DATABASE_URL'] = "sqlite3:#{File.join(APP_FOLDER, 'app.db')}?timeout=20000"
APP_PEOPLE = ENV.fetch('APP_PEOPLE').split(',')

class ProviderApp < Rails::Application
  config.root = APP_FOLDER
  config.load_defaults 6.1
  config.eager_load = false
  config.secret_key_base = 'of-an-app-that-lives-for-minutes'
  config.hosts.clear
  config.logger = Logger.new($stderr)
  config.log_level = :warn
  config.active_support.deprecation = :silence
end

Doorkeeper.configure do
  orm :active_record
  resource_owner_authenticator do
    index = APP_PEOPLE.index(session[:name])
    if index
      Person.new(index + 1, session[:name])
    else
      session[:return_to] = request.fullpath
      redirect_to '/login'
    end
  end
  default_scopes :read
  access_token_expires_in 30.seconds
  use_refresh_token
  force_ssl_in_redirect_uri false
  grant_flows %w[authorization_code]
end

Person = Struct.new(:id, :name)

ProviderApp.initialize!
ActiveRecord::Base # loads the models of Doorkeeper, which wait for it

class SessionsController < ActionController::Base
  FORM = <<~HTML
    <h1>Sign in</h1>
    <form method="post" action="/login">
      <input type="hidden" name="authenticity_token" value="%s">
      <label>Name <input name="name" id="name"></label>
      <label>Password <input name="password" id="password" type="password"></label>
      <button id="login">Sign in</button>
    </form>
  HTML

  def new
    render html: format(FORM, ERB::Util.h(form_authenticity_token)).html_safe
  end

  def create
    good = APP_PEOPLE.include?(params[:name]) &&
           ActiveSupport::SecurityUtils.secure_compare(params[:password].to_s, ENV.fetch('APP_PASSWORD'))
    return redirect_to('/login') unless good

    session[:name] = params[:name]
    redirect_to session.delete(:return_to) || '/'
  end
end

class ThingsController < ActionController::API
  before_action :doorkeeper_authorize!, only: :me

  def up
    render plain: 'up'
  end

  def me
    render json: { name: APP_PEOPLE[doorkeeper_token.resource_owner_id - 1] }
  end
end

ProviderApp.routes.draw do
  use_doorkeeper
  get '/', to: 'things#up'
  get '/me', to: 'things#me'
  get '/login', to: 'sessions#new'
  post '/login', to: 'sessions#create'
end

# The migrations that `rails generate doorkeeper:install` and `doorkeeper:pkce` would write.
def migrate
  templates = File.join(Gem.loaded_specs.fetch('doorkeeper').full_gem_path, 'lib/generators/doorkeeper/templates')
  migration_version = '[6.1]'
  %w[migration enable_pkce_migration].each do |name|
    eval(ERB.new(File.read(File.join(templates, "#{name}.rb.erb"))).result(binding), TOPLEVEL_BINDING)
  end
  ActiveRecord::Migration.verbose = false
  CreateDoorkeeperTables.new.migrate(:up)
  EnablePkce.new.migrate(:up)
end

def client(id, secret, redirect_uri)
  Doorkeeper::Application.create!(name: 'Nexus', uid: id, secret: secret, redirect_uri: redirect_uri, scopes: 'read')
end

def secret(id, new_secret)
  Doorkeeper::Application.find_by!(uid: id).update!(secret: new_secret)
end

# What its page of authorized applications does.
def end_grant(id, name)
  person = Person.new(APP_PEOPLE.index(name) + 1, name)
  Doorkeeper::Application.revoke_tokens_and_grants_for(Doorkeeper::Application.find_by!(uid: id).id, person)
end

send(ARGV[0], *ARGV[1..]) if $PROGRAM_NAME == __FILE__
